"""Fetching an attachment, when somebody wants it, up to a limit."""

from __future__ import annotations

from aiogram.exceptions import TelegramAPIError
from aiogram.methods import GetFile

from core.contracts.errors import RekkuError
from core.contracts.inputs import Attachment
from interfaces.telegram.client import Client

DOWNLOAD_S = 120


class CannotDownload(RekkuError):
    """A file that is too large, or not there any more."""

    code = "telegram_download"


async def download(client: Client, attachment: Attachment, most_bytes: int) -> bytes:
    """Return a file's content; raises CannotDownload, or Unreachable when trying again may help."""
    if not attachment.ref:
        raise CannotDownload(f"A {attachment.kind} is no file.")
    _check(attachment.size_bytes or 0, most_bytes)
    try:
        file = await client(GetFile(file_id=attachment.ref))
    except TelegramAPIError as error:
        raise CannotDownload(f"{attachment.name} cannot be fetched: {error}.") from None
    _check(file.file_size or 0, most_bytes)
    path = file.file_path or ""
    if not path or path.startswith("/"):
        raise CannotDownload(
            f"{attachment.name} cannot be fetched: the server names no path for it that can be asked for.",
            cure="A Bot API server of one's own must not run with --local.",
        )
    content = bytearray()
    async for chunk in client.content(path, DOWNLOAD_S):
        content += chunk
        _check(len(content), most_bytes)
    return bytes(content)


def _check(size: int, most: int) -> None:
    if size > most:
        raise CannotDownload(
            f"The file has more than {most / 2**20:g} MiB.", cure="Raise max_download_mb if it is wanted."
        )
