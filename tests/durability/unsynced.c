/* A power cut for processes that are killed: what they did not sync is lost.
 *
 * Preloaded into a program, this keeps a shadow of one directory: what a disk would hold if the power failed now.
 * A write reaches the shadow when its file is synced (fsync, fdatasync, or a descriptor opened with O_SYNC or O_DSYNC), a
 * new, renamed or removed name when its directory is. `power_cut.py` starts programs with it and, once they were killed,
 * replaces the directory by its shadow.
 *
 *   UNSYNCED_DATA    the directory, absolute and without links
 *   UNSYNCED_SHADOW  where the shadow is kept; not within UNSYNCED_DATA
 *
 * The shadow: `files/ID` is a file's synced content, `dirty/ID` what was changed since then, `directories/ID` a directory's
 * synced names, `root` the ID of UNSYNCED_DATA. An ID is an inode's number with its time of birth, since numbers are
 * used again. What is written after a kill began to arrive may or may not be in a file that was being synced: a power
 * cut gives no better promise.
 *
 * It is strict where file systems are kind: syncing a new file does not make its name durable, sync_file_range and sync
 * promise nothing. It doesn't see what the C library's own streams write, nor shared mappings, which it reports in
 * `unsupported` (but for SQLite's `-shm`, which is rebuilt after a crash).
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

/* Everything goes to the kernel directly: calling the library's functions here would call those below. */
static int sys_open(const char *path, int flags) { return syscall(SYS_openat, AT_FDCWD, path, flags | O_CLOEXEC, 0600); }
static void sys_close(int fd) { syscall(SYS_close, fd); }

/* Room for the longest path and what is added to it here. */
#define LONG (PATH_MAX + 128)

static char data[PATH_MAX], shadow[PATH_MAX];
static size_t data_length;

static void fail(const char *what) {
    char text[256];
    int length = snprintf(text, sizeof text, "unsynced: %s: %s\n", what, strerror(errno));
    syscall(SYS_write, 2, text, length);
    abort();
}

/* For a program that is preloaded; `unsynced_begin` gives both to one that is not. */
__attribute__((constructor)) static void configure(void) {
    const char *from = getenv("UNSYNCED_DATA"), *to = getenv("UNSYNCED_SHADOW");
    if (!from || !to) return;
    data_length = strlen(strncpy(data, from, sizeof data - 1));
    strncpy(shadow, to, sizeof shadow - 1);
}

struct id { char text[48]; };
struct change { uint64_t offset, length; }; /* length TRUNCATED: the file was cut, or grew, to `offset` */
#define TRUNCATED UINT64_MAX

static void shadow_path(char *path, const char *kind, const char *id, const char *suffix) {
    snprintf(path, LONG, "%s/%s/%s%s", shadow, kind, id, suffix);
}

/* False for what isn't there any more. */
static int identify(int directory, const char *name, struct id *id, mode_t *mode) {
    struct statx found;
    int flags = AT_SYMLINK_NOFOLLOW | (*name ? 0 : AT_EMPTY_PATH);
    if (syscall(SYS_statx, directory, name, flags, STATX_BASIC_STATS | STATX_BTIME, &found) != 0) return 0;
    if (!(found.stx_mask & STATX_BTIME)) { errno = ENOTSUP; fail("the file system has no times of birth"); }
    *mode = found.stx_mode;
    snprintf(id->text, sizeof id->text, "%llx-%llx-%x", (unsigned long long)found.stx_ino,
             (unsigned long long)found.stx_btime.tv_sec, found.stx_btime.tv_nsec);
    return 1;
}

/* Whether `fd` is a file or directory of the data directory; then its id and mode. Leaves errno alone. */
static int tracked(int fd, struct id *id, mode_t *mode) {
    char link[64], path[LONG];
    int kept = errno, is_ours = 0;
    if (data_length) {
        snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
        ssize_t length = syscall(SYS_readlinkat, AT_FDCWD, link, path, sizeof path - 1);
        if (length >= (ssize_t)data_length) {
            path[length] = 0;
            is_ours = !strncmp(path, data, data_length) && (path[data_length] == '/' || path[data_length] == 0) &&
                      identify(fd, "", id, mode) && (S_ISREG(*mode) || S_ISDIR(*mode));
        }
    }
    errno = kept;
    return is_ours;
}

/* The list of a file's unsynced changes, locked: whoever syncs must not lose what is added meanwhile. */
static int open_changes(const struct id *id, int how) {
    char path[LONG];
    shadow_path(path, "dirty", id->text, "");
    int list = sys_open(path, O_RDWR | O_CREAT | O_APPEND);
    if (list < 0) fail("dirty");
    while (syscall(SYS_flock, list, how) != 0)
        if (errno != EINTR) fail("flock");
    return list;
}

static void add_change(int list, uint64_t offset, uint64_t length) {
    struct change change = {offset, length};
    if (syscall(SYS_write, list, &change, sizeof change) != sizeof change) fail("write dirty");
}

static void copy_range(int from, int to, uint64_t offset, uint64_t length) {
    static __thread char buffer[1 << 16];
    while (length) {
        size_t most = length < sizeof buffer ? length : sizeof buffer;
        ssize_t got = syscall(SYS_pread64, from, buffer, most, offset);
        if (got < 0) fail("pread");
        if (got == 0) return;
        if (syscall(SYS_pwrite64, to, buffer, got, offset) != got) fail("pwrite files");
        offset += got;
        length -= got;
    }
}

static void sync_file(int fd, const struct id *id, int all) {
    char path[LONG], link[64];
    /* Closing a second descriptor of a file would drop the process's record locks on it, so only files that can't be
       read through `fd` (which nobody locks by record) are opened again. */
    int from = fd;
    if ((syscall(SYS_fcntl, fd, F_GETFL) & O_ACCMODE) == O_WRONLY) {
        snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
        if ((from = sys_open(link, O_RDONLY)) < 0) fail("open again");
    }
    shadow_path(path, "files", id->text, "");
    int list = open_changes(id, LOCK_EX), to = sys_open(path, O_RDWR | O_CREAT);
    if (to < 0) fail("files");
    struct change change;
    off_t place = 0;
    if (all) copy_range(from, to, 0, UINT64_MAX);
    while (syscall(SYS_pread64, list, &change, sizeof change, place) == sizeof change) {
        if (change.length == TRUNCATED) {
            if (syscall(SYS_ftruncate, to, change.offset) != 0) fail("ftruncate files");
        } else {
            copy_range(from, to, change.offset, change.length);
        }
        place += sizeof change;
    }
    struct stat now;
    if (fstat(from, &now) != 0 || syscall(SYS_ftruncate, to, now.st_size) != 0) fail("size of files");
    if (syscall(SYS_ftruncate, list, 0) != 0) fail("ftruncate dirty");
    sys_close(to);
    sys_close(list);
    if (from != fd) sys_close(from);
}

/* One record a name: kind, mode, id, name, for a link its target; each ended by a NUL. */
static void sync_directory(int fd, const struct id *id) {
    char path[LONG], draft[LONG], link[64], target[LONG];
    shadow_path(path, "directories", id->text, ".lock");
    int lock = sys_open(path, O_RDWR | O_CREAT);
    if (lock < 0) fail("directories");
    while (syscall(SYS_flock, lock, LOCK_EX) != 0)
        if (errno != EINTR) fail("flock");
    shadow_path(draft, "directories", id->text, ".draft");
    int to = sys_open(draft, O_WRONLY | O_CREAT | O_TRUNC);
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    int again = sys_open(link, O_RDONLY | O_DIRECTORY);
    DIR *names = again < 0 ? NULL : fdopendir(again);
    if (to < 0 || !names) fail("read directory");
    struct dirent *entry;
    while ((entry = readdir(names))) {
        struct id of;
        mode_t mode;
        char record[2 * LONG];
        if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..")) continue;
        if (!identify(fd, entry->d_name, &of, &mode)) continue;
        ssize_t end = S_ISLNK(mode) ? readlinkat(fd, entry->d_name, target, sizeof target - 1) : 0;
        target[end < 0 ? 0 : end] = 0;
        char kind = S_ISREG(mode) ? 'f' : S_ISDIR(mode) ? 'd' : S_ISLNK(mode) ? 'l' : 'o';
        int length = snprintf(record, sizeof record, "%c%c%o%c%s%c%s%c%s%c", kind, 0, mode & 07777, 0, of.text, 0,
                              entry->d_name, 0, target, 0);
        if (syscall(SYS_write, to, record, length) != length) fail("write directories");
    }
    closedir(names);
    shadow_path(path, "directories", id->text, "");
    if (syscall(SYS_renameat2, AT_FDCWD, draft, AT_FDCWD, path, 0) != 0) fail("rename directories");
    sys_close(to);
    sys_close(lock);
}

static void synced(int fd) {
    struct id id;
    mode_t mode;
    int kept = errno;
    if (tracked(fd, &id, &mode)) {
        if (S_ISDIR(mode)) sync_directory(fd, &id);
        else sync_file(fd, &id, 0);
    }
    errno = kept;
}

/* The change is listed after it was made: one that happens during a sync is then synced by the next. */
static void changed(int fd, uint64_t offset, uint64_t length) {
    struct id id;
    mode_t mode;
    int kept = errno;
    if (tracked(fd, &id, &mode) && S_ISREG(mode)) {
        int list = open_changes(&id, LOCK_SH);
        add_change(list, offset, length);
        sys_close(list);
        if (syscall(SYS_fcntl, fd, F_GETFL) & O_DSYNC) sync_file(fd, &id, 0);
    }
    errno = kept;
}

/* A baseline: everything below `from` counts as synced. For the program that starts the others. */
static int take_one(const char *path, const struct stat *status, int kind, struct FTW *walk) {
    struct id id;
    mode_t mode;
    (void)status, (void)walk;
    if (kind != FTW_F && kind != FTW_D) return 0;
    int fd = sys_open(path, O_RDONLY | O_NOFOLLOW);
    if (fd < 0) return -1;
    if (!identify(fd, "", &id, &mode)) fail("baseline");
    if (S_ISDIR(mode)) sync_directory(fd, &id);
    else if (S_ISREG(mode)) sync_file(fd, &id, 1);
    sys_close(fd);
    return 0;
}

int unsynced_begin(const char *from, const char *to) {
    struct id id;
    mode_t mode;
    char path[LONG];
    strncpy(shadow, to, sizeof shadow - 1);
    if (nftw(from, take_one, 32, FTW_PHYS) != 0) return -1;
    if (!identify(AT_FDCWD, from, &id, &mode)) return -1;
    snprintf(path, sizeof path, "%s/root", to);
    int root = sys_open(path, O_WRONLY | O_CREAT | O_TRUNC);
    if (root < 0 || syscall(SYS_write, root, id.text, strlen(id.text)) < 0) return -1;
    sys_close(root);
    return 0;
}

/* What is interposed. */

static int opened(int fd, int flags) {
    if (fd >= 0 && flags & O_TRUNC && (flags & O_ACCMODE) != O_RDONLY) changed(fd, 0, TRUNCATED);
    return fd;
}

#define MODE(flags) \
    mode_t mode = 0; \
    if ((flags) & O_CREAT || ((flags) & O_TMPFILE) == O_TMPFILE) { \
        va_list more; \
        va_start(more, flags); \
        mode = va_arg(more, mode_t); \
        va_end(more); \
    }

#define OPEN(name) \
    int name(const char *path, int flags, ...) { \
        MODE(flags) \
        return opened(syscall(SYS_openat, AT_FDCWD, path, flags, mode), flags); \
    }
#define OPENAT(name) \
    int name(int directory, const char *path, int flags, ...) { \
        MODE(flags) \
        return opened(syscall(SYS_openat, directory, path, flags, mode), flags); \
    }
#define CREAT(name) \
    int name(const char *path, mode_t mode) { \
        return opened(syscall(SYS_openat, AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode), O_WRONLY | O_TRUNC); \
    }
OPEN(open) OPEN(open64) OPENAT(openat) OPENAT(openat64) CREAT(creat) CREAT(creat64)
int __open_2(const char *path, int flags) { return opened(syscall(SYS_openat, AT_FDCWD, path, flags, 0), flags); }
int __open64_2(const char *path, int flags) { return opened(syscall(SYS_openat, AT_FDCWD, path, flags, 0), flags); }
int __openat_2(int at, const char *path, int flags) { return opened(syscall(SYS_openat, at, path, flags, 0), flags); }
int __openat64_2(int at, const char *path, int flags) { return opened(syscall(SYS_openat, at, path, flags, 0), flags); }

/* A write at the file's own position: locked, so that the position read afterwards is this write's end. */
#define POSITIONED(fd, call) \
    struct id id; \
    mode_t mode; \
    if (!tracked(fd, &id, &mode) || !S_ISREG(mode)) return call; \
    int list = open_changes(&id, LOCK_EX); \
    ssize_t written = call; \
    int kept = errno; \
    if (written > 0) add_change(list, syscall(SYS_lseek, fd, 0, SEEK_CUR) - written, written); \
    sys_close(list); \
    if (written > 0 && syscall(SYS_fcntl, fd, F_GETFL) & O_DSYNC) sync_file(fd, &id, 0); \
    errno = kept; \
    return written;

ssize_t write(int fd, const void *from, size_t length) { POSITIONED(fd, syscall(SYS_write, fd, from, length)) }
ssize_t writev(int fd, const struct iovec *from, int count) { POSITIONED(fd, syscall(SYS_writev, fd, from, count)) }

static ssize_t written_at(int fd, off_t offset, ssize_t written) {
    if (written > 0) changed(fd, offset, written);
    return written;
}

#define PWRITE(name) \
    ssize_t name(int fd, const void *from, size_t length, off_t offset) { \
        return written_at(fd, offset, syscall(SYS_pwrite64, fd, from, length, offset)); \
    }
#define PWRITEV(name) \
    ssize_t name(int fd, const struct iovec *from, int count, off_t offset) { \
        return written_at(fd, offset, syscall(SYS_pwritev, fd, from, count, offset, 0)); \
    }
/* With an offset of -1 it writes at the file's position; nothing here does, so the whole file counts as changed. */
#define PWRITEV2(name) \
    ssize_t name(int fd, const struct iovec *from, int count, off_t offset, int flags) { \
        ssize_t written = syscall(SYS_pwritev2, fd, from, count, offset, 0, flags); \
        if (written > 0 && offset == -1) changed(fd, 0, INT64_MAX); \
        return offset == -1 ? written : written_at(fd, offset, written); \
    }
PWRITE(pwrite) PWRITE(pwrite64) PWRITEV(pwritev) PWRITEV(pwritev64) PWRITEV2(pwritev2) PWRITEV2(pwritev64v2)

#define FTRUNCATE(name) \
    int name(int fd, off_t size) { \
        int result = syscall(SYS_ftruncate, fd, size); \
        if (result == 0) changed(fd, size, TRUNCATED); \
        return result; \
    }
#define TRUNCATE(name) \
    int name(const char *path, off_t size) { \
        int fd = sys_open(path, O_WRONLY); \
        if (fd < 0) return -1; \
        int result = syscall(SYS_ftruncate, fd, size); \
        if (result == 0) changed(fd, size, TRUNCATED); \
        int kept = errno; \
        sys_close(fd); \
        errno = kept; \
        return result; \
    }
FTRUNCATE(ftruncate) FTRUNCATE(ftruncate64) TRUNCATE(truncate) TRUNCATE(truncate64)

#define FALLOCATE(name) \
    int name(int fd, int how, off_t offset, off_t length) { \
        int result = syscall(SYS_fallocate, fd, how, offset, length); \
        if (result == 0) changed(fd, how ? 0 : offset, how ? INT64_MAX : length); \
        return result; \
    }
#define POSIX_FALLOCATE(name) \
    int name(int fd, off_t offset, off_t length) { \
        int kept = errno; \
        int result = syscall(SYS_fallocate, fd, 0, offset, length) == 0 ? 0 : errno; \
        errno = kept; \
        if (result == 0) changed(fd, offset, length); \
        return result; \
    }
FALLOCATE(fallocate) FALLOCATE(fallocate64) POSIX_FALLOCATE(posix_fallocate) POSIX_FALLOCATE(posix_fallocate64)

#define SENDFILE(name) \
    ssize_t name(int out, int in, off_t *offset, size_t length) { \
        POSITIONED(out, syscall(SYS_sendfile, out, in, offset, length)) \
    }
SENDFILE(sendfile) SENDFILE(sendfile64)
ssize_t copy_file_range(int in, off64_t *in_offset, int out, off64_t *out_offset, size_t length, unsigned flags) {
    ssize_t copied = syscall(SYS_copy_file_range, in, in_offset, out, out_offset, length, flags);
    if (copied > 0) changed(out, 0, INT64_MAX);
    return copied;
}

#define MMAP(name) \
    void *name(void *at, size_t length, int access, int flags, int fd, off_t offset) { \
        if (fd >= 0 && access & PROT_WRITE && (flags & MAP_TYPE) != MAP_PRIVATE) mapped(fd); \
        return (void *)syscall(SYS_mmap, at, length, access, flags, fd, offset); \
    }
static void mapped(int fd) {
    struct id id;
    mode_t mode;
    char link[64], path[LONG], report[LONG];
    if (!tracked(fd, &id, &mode)) return;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = syscall(SYS_readlinkat, AT_FDCWD, link, path, sizeof path - 1);
    if (length < 4 || !strncmp(path + length - 4, "-shm", 4)) return;
    snprintf(report, sizeof report, "%s/unsupported", shadow);
    int to = sys_open(report, O_WRONLY | O_CREAT | O_APPEND);
    path[length] = '\n';
    if (to < 0 || syscall(SYS_write, to, path, length + 1) < 0) fail("unsupported");
    sys_close(to);
}
MMAP(mmap) MMAP(mmap64)

int fsync(int fd) {
    int result = syscall(SYS_fsync, fd);
    if (result == 0) synced(fd);
    return result;
}
int fdatasync(int fd) {
    int result = syscall(SYS_fdatasync, fd);
    if (result == 0) synced(fd);
    return result;
}
