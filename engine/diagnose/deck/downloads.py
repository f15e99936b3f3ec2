"""What a host fetches and does not get, or gets and can't use."""

from engine.diagnose.card import DOWNLOADS, SCRIPTS, Card
from engine.domain import step_names
from engine.domain.message import message

# wget, in the languages it speaks; curl speaks English only
_NOT_FOUND = r"(ERROR|错误|錯誤|エラー) ?404[:：] ?Not Found|returned error: 404"
_DENIED = r"(ERROR|错误|錯誤|エラー) ?40[13]\b|returned error: 40[13]\b"

DOWNLOADING = (
    Card(
        "stack_missing",
        frozenset({step_names.DOWNLOAD_SCRIPTS}),
        _NOT_FOUND,
        message("The scripts of the tech stack of {app} are not in OSS."),
        message("Correct the stack's archive in the catalogue or upload it, then retry the host."),
    ),
    Card(
        "package_missing",
        frozenset({step_names.DOWNLOAD_PACKAGE}),
        _NOT_FOUND,
        message("The release package of {app} is not in OSS."),
        message("Upload the package again, then retry the host."),
    ),
    Card(
        "download_missing",
        SCRIPTS,
        _NOT_FOUND,
        message("A script of the tech stack on {host} asked for something that does not exist."),
        message("Correct the address in the stack's script, then retry the host."),
    ),
    Card(
        "download_denied",
        DOWNLOADS,
        _DENIED,
        message(
            "OSS refused the download on {host}: the signed address is no longer valid, or reading is not allowed."
        ),
        message(
            "Check that the access key can read the object and that the host's clock is right, then retry the host."
        ),
    ),
    Card(
        "checksum_mismatch",
        DOWNLOADS,
        r"CHECKSUM MISMATCH",
        message("What {host} downloaded is not what the catalogue says."),
        message("Compare the object in OSS with the catalogue, upload the right one, then create a new order."),
    ),
    Card(
        "checksum_unknown",
        DOWNLOADS,
        r"CHECKSUM UNKNOWN",
        message("{host} has no checksum to verify its download with."),
        message("Give the object's sha256 in the catalogue, then retry the host."),
    ),
    Card(
        "archive_unsafe",
        DOWNLOADS,
        r"ARCHIVE UNSAFE",
        message("The archive would write outside its folder on {host}; it was not unpacked."),
        message("Find out who made the archive, rebuild it, then create a new order."),
    ),
    Card(
        "archive_broken",
        DOWNLOADS,
        r"ARCHIVE BROKEN",
        message("{host} could not unpack the archive."),
        message("Check that it is a complete .tar.gz, upload it again, then retry the host."),
    ),
    Card(
        "download_failed",
        DOWNLOADS,
        r"DOWNLOAD FAILED|ERROR [45]\d\d\b|^curl: ",
        message("{host} could not download from OSS."),
        message("Check the host's path to the OSS endpoint (DNS, route, proxy), then retry the host."),
    ),
)
