import pytest

from flowchroma.data.sources.source import read_list
from flowchroma.errors import UserError


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_list_made_on_windows_keeps_its_first_name(tmp_path, encoding: str) -> None:
    (tmp_path / "list.txt").write_bytes("bär\r\nmüde\r\n\r\nbär\r\n".encode(encoding))
    assert read_list(tmp_path / "list.txt") == ["bär", "müde"]


@pytest.mark.parametrize("encoding", ["cp1252", "utf-16-le", "cp932"])
def test_a_list_in_a_code_page_is_refused_in_a_line(tmp_path, encoding: str) -> None:
    (tmp_path / "list.txt").write_bytes(
        ("é" if encoding == "cp1252" else "映画").encode(encoding) + "a\r\n".encode(encoding)
    )
    with pytest.raises(UserError, match="save it as UTF-8"):
        read_list(tmp_path / "list.txt")
