/* SoftHSM with faults in C_Sign, switched by files in the directory $FAULTS:
 *   hang     wait for as long as the file is there
 *   removed  the device was removed: once, the file is taken away
 *   crash    the process ends: once, the file is taken away
 *   broken   CKR_GENERAL_ERROR for as long as the file is there
 */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef unsigned long CK_ULONG;
typedef CK_ULONG (*Function)();
typedef struct { unsigned char major, minor; Function functions[68]; } FunctionList;

enum { GET_FUNCTION_LIST = 3, SIGN = 43, GENERAL_ERROR = 0x05, DEVICE_REMOVED = 0x32 };

static FunctionList list;
static Function sign;

static int fault(const char *name, char *path)
{
    snprintf(path, 4096, "%s/%s", getenv("FAULTS"), name);
    return access(path, F_OK) == 0;
}

static CK_ULONG faulty_sign(CK_ULONG session, unsigned char *data, CK_ULONG size, unsigned char *out, CK_ULONG *length)
{
    char path[4096];
    while (fault("hang", path))
        usleep(20000);
    if (fault("removed", path)) {
        unlink(path);
        return DEVICE_REMOVED;
    }
    if (fault("crash", path)) {
        unlink(path);
        abort();
    }
    if (fault("broken", path))
        return GENERAL_ERROR;
    return sign(session, data, size, out, length);
}

CK_ULONG C_GetFunctionList(FunctionList **given)
{
    if (!sign) {
        void *library = dlopen(getenv("SOFTHSM_MODULE"), RTLD_NOW);
        CK_ULONG (*get)(FunctionList **) = (CK_ULONG (*)(FunctionList **))dlsym(library, "C_GetFunctionList");
        FunctionList *real;
        CK_ULONG result = get(&real);
        if (result)
            return result;
        memcpy(&list, real, sizeof list);
        sign = list.functions[SIGN];
        list.functions[SIGN] = (Function)faulty_sign;
        list.functions[GET_FUNCTION_LIST] = (Function)C_GetFunctionList;
    }
    *given = &list;
    return 0;
}
