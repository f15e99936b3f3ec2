"""What an app or a script does not reach. They stand last: a start that failed for another reason often says these words too."""

from engine.diagnose.card import LAST_WORDS, SCRIPTS, Card
from engine.domain.message import message

NETWORK = (
    Card(
        "name_unknown",
        SCRIPTS,
        r"(?i)name or service not known|temporary failure in name resolution|could not resolve host|UnknownHostException"
        r"|\bE(NOTFOUND|AI_AGAIN)\b|未知的名称或服务|域名解析暂时失败|无法解析主机|名稱或服務未知|解析名稱時發生暫時性錯誤",
        message("{step} on {host} asked for a machine whose name nobody knows."),
        message("Check the name in the app's settings and the host's DNS (/etc/resolv.conf), then retry the host."),
        last=LAST_WORDS,
    ),
    Card(
        "connection_refused",
        SCRIPTS,
        r"(?i)connection refused|\bECONNREFUSED\b|拒绝连接|连接被拒绝|連線被拒絕|接続を拒否されました",
        message("{step} on {host} was refused by a machine or a port that it needs."),
        message("Find what it called in the line above, see that it runs and lets this host in, then retry the host."),
        last=LAST_WORDS,
    ),
    Card(
        "network_unreachable",
        SCRIPTS,
        r"(?i)no route to host|network is unreachable|connection timed out|\bE(HOSTUNREACH|NETUNREACH|TIMEDOUT)\b"
        r"|没有到主机的路由|网络不可达|连接超时|無法接觸網路|連線超過時間|找不到通往該主機的路由",
        message("{step} on {host} did not reach a machine that it needs."),
        message("Check the route and the security group between the two, then retry the host."),
        last=LAST_WORDS,
    ),
)
