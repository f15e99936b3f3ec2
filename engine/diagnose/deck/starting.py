"""Why an app does not start: time, ports, memory, files, Java."""

from engine.diagnose.card import ANY, LAST_WORDS, SCRIPTS, Card
from engine.domain.message import message

_PORT_IN_USE = (
    r"(?i)address( is)? already in use|address in use\b|\bEADDRINUSE\b|\[Errno 98\]|\(os error 98\)|port is already allocated"
    r"|\bport[ :]+\d+\b.{0,40}\b(already in use|in use by|already used|being used)|only one usage of each socket address"
    r"|地址(已经|已|正)?(在|被)(使用|占用)|端口.{0,20}(被占用|被使用|已占用|在使用|正在使用|冲突)"
    r"|[位地]址(已經|已|正)?有?(在|被)?(使用|佔用|占用)|連接埠.{0,20}(被佔用|被占用|被使用|使用中)|アドレスは(既|すで)に使用"
)
_NO_MEMORY = (
    r"java\.lang\.OutOfMemoryError|There is insufficient memory for the Java Runtime Environment"
    r"|Could not reserve enough space for|(?i:cannot allocate memory)|\bENOMEM\b|JavaScript heap out of memory"
    r"|无法分配内存|無法配置記憶體|メモリを確保できません"
)

STARTING = (
    Card(
        "step_timed_out",
        ANY,
        r"(?i)(python|script) run time ?out|脚本执行超时|执行超时",
        message("{step} ran out of time on {host}: the start failed or is slow."),
        message(
            "Read the start-up log (sofa-startup.log), raise {step}_deadline_s if it is only slow, then retry the host."
        ),
        remedy_step="longer_deadline",
    ),
    Card(
        "port_in_use",
        SCRIPTS,
        _PORT_IN_USE,
        message("A port that {app} needs on {host} is in use."),
        message("Find who holds it (ss -tlnp), end it, then retry the host."),
    ),
    Card(
        "out_of_memory",
        SCRIPTS,
        _NO_MEMORY,
        message("{app} got no memory on {host}."),
        message("Look at free -m and at the heap that is asked for (-Xmx), free memory, then retry the host."),
        when_late=True,
    ),
    Card(
        "killed",
        SCRIPTS,
        r"(^|\s|:)(Killed|已杀死|強制結束|強制終了)\b",
        message("{step} was killed on {host}, most often because the machine had no memory left."),
        message("Look for the out-of-memory killer in dmesg, free memory, then retry the host."),
        statuses=frozenset({137}),
        last=LAST_WORDS,
    ),
    Card(
        "too_many_files",
        SCRIPTS,
        r"(?i)too many open files|\bE[MN]FILE\b|打开的文件过多|開啟太多檔案|ファイルを開きすぎ",
        message("{app} may not open more files on {host}."),
        message("Raise the limit (ulimit -n, /etc/security/limits.conf), log out and in, then retry the host."),
        when_late=True,
    ),
    Card(
        "java_too_old",
        SCRIPTS,
        r"UnsupportedClassVersionError|class file version \d+\.\d+",
        message("{app} was built for a newer Java than {host} has."),
        message("Install the Java that the stack names, or choose another stack version, then retry the host."),
        when_late=True,
    ),
    Card(
        "java_class_missing",
        SCRIPTS,
        r"Could not find or load main class|Unable to access jarfile|找不到或无法加载主类|无法访问 ?jar ?文?[件f]",
        message("Java does not find the program of {app} on {host}."),
        message("Look into the package and at the stack's start script, then create a new order."),
    ),
)
