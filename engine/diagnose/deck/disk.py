"""Disks that take nothing more."""

from engine.diagnose.card import ANY, LAST_WORDS, Card
from engine.domain.message import message

_FULL = (
    r"(?i)no space left on device|disk quota exceeded|\bE(NOSPC|DQUOT)\b(?!: System limit)|not enough space on the disk"
    r"|设备上?没有(剩余)?空间|磁盘(空间不足|空间已满|已满)|超出磁盘(限额|配额)"
    r"|[裝設][置備]上?(已|已經)?[無沒](有)?(多餘|剩餘|可用)?(的)?空間|磁碟(空間不足|已滿)|超出磁碟[限配]額|磁碟配額已滿"
    r"|デバイスに空き領域がありません|ディスク使用量制限を超過しました"
)

DISK = (
    Card(
        "disk_full",
        ANY,
        _FULL,
        message("The disk of {host} is full."),
        message("Find the biggest folders (du -xk ~ | sort -n | tail), free space, then retry the host."),
        when_late=True,
        remedy_step="show_folders",
    ),
    Card(
        "disk_read_only",
        ANY,
        r"(?i)read-only file ?system|\bEROFS\b|只读文件系统|唯讀的?檔案系統|読み込み専用ファイルシステム",
        message("A file system of {host} can only be read: most often its disk has failed."),
        message("Look at the kernel's messages (dmesg), repair or replace the disk, then retry the host."),
        last=LAST_WORDS,
    ),
    Card(
        "disk_broken",
        ANY,
        r"(?i)input/output error|\bEIO\b|输入/输出错误|輸入/輸出錯誤|入力/出力エラー",
        message("The disk of {host} does not read or write any more."),
        message("Look at the kernel's messages (dmesg), take the host out of its balancer, replace the disk."),
        last=LAST_WORDS,
    ),
)
