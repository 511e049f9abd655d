"""The whole of a verification, in order: records, key material, references, objects, the trail."""

from __future__ import annotations

from freehold.audit.verify import verify as verify_trail
from freehold.config import Settings
from freehold.crypto.aead import Sealer
from freehold.custody.keyring import Keyring
from freehold.services import operation as operations
from freehold.storage.files import FileBlobs
from freehold.verification.contents import Contents
from freehold.verification.key_records import KeyRecords
from freehold.verification.materials import Materials
from freehold.verification.objects import Objects
from freehold.verification.report import Progress, Report


def verify(settings: Settings, keyring: Keyring, *, deep: bool = False, progress: Progress | None = None) -> Report:
    """Look at all of a deployment that no server holds; the caller holds its directory. `deep`: every object's bytes.

    Raises what `Inspection` raises where the database can't be opened at all.
    """
    operations.load_all()
    report, progress = Report(), progress or Progress()
    sealer = Sealer(keyring.sealing_key("records"))
    contents = Contents(settings.data, keyring.sealing_key("pages"), sealer, report, progress)
    try:
        contents.check()
        materials = Materials(contents, Sealer(keyring.sealing_key("kms"), keyring.former_keys("kms")))
        materials.check()
        KeyRecords(contents).check()
        blobs = FileBlobs(settings.blobs, make=False)
        Objects(contents, blobs, keyring.sealing_key("service-owned"), materials, deep=deep).check()
        progress.stage("audit", None)
        trail = verify_trail(settings.audit, contents.reader, keyring)
    finally:
        contents.close()
    report.findings += trail.findings
    report.notes += trail.notes
    report.counts.update({"audit events": trail.events, "audit checkpoints": trail.checkpoints})
    return report
