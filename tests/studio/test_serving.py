"""What the studio serves and to whom, asked as no browser would."""

import base64
import http.client
import json
import socket
import urllib.parse
import uuid
from pathlib import Path

import pytest
from filelock import FileLock

from flowchroma.studio.__main__ import main

from .conftest import command as run_command
from .conftest import served

pytest.importorskip("gradio", reason="no Gradio: pip install 'flowchroma[studio]'")

SECRET = "the secret of another folder"


class Asked:
    """Requests to a studio, whose paths nothing tidies up."""

    def __init__(self, address: str) -> None:
        parts = urllib.parse.urlsplit(address)
        self.host, self.port = parts.hostname, parts.port

    def __call__(self, method: str, path: str, body: bytes | None = None, **headers: str) -> tuple[int, bytes, dict]:
        connection = http.client.HTTPConnection(self.host, self.port, timeout=20)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.putrequest(method, path, skip_host="Host" in named)
        for name, value in {**named, **({"Content-Length": str(len(body))} if body is not None else {})}.items():
            connection.putheader(name, value)
        connection.endheaders(body)
        answer = connection.getresponse()
        data = answer.read()
        connection.close()
        return answer.status, data, dict(answer.getheaders())

    def upload(self, name: str, data: bytes) -> tuple[int, bytes, dict]:
        mark = uuid.uuid4().hex
        head = f'--{mark}\r\nContent-Disposition: form-data; name="files"; filename="{name}"\r\n\r\n'.encode()
        body = head + data + f"\r\n--{mark}--\r\n".encode()
        return self("POST", "/gradio_api/upload", body, Content_Type=f"multipart/form-data; boundary={mark}")


@pytest.fixture(scope="module")
def place(tmp_path_factory, film) -> Path:
    """A project, and beside it what nobody is to see."""
    folder = tmp_path_factory.mktemp("served")
    project = folder / "plan"
    project.mkdir()
    (project / "inside.txt").write_text("of the project")
    (folder / "secret.txt").write_text(SECRET)
    (project / "link.txt").symlink_to(folder / "secret.txt")
    (project / "linked").symlink_to(folder)
    (folder / "plan-of-another").mkdir()
    (folder / "plan-of-another" / "secret.txt").write_text(SECRET)
    return folder


@pytest.fixture(scope="module")
def asked(place: Path, film):
    with served(str(film.path), "project=plan", "upload=0.0001", folder=place, attacked=True) as studio:
        yield Asked(studio.address)


def test_files_of_the_project_are_served_in_parts_as_players_ask(asked: Asked, place: Path) -> None:
    status, data, headers = asked("GET", f"/gradio_api/file={place}/plan/inside.txt")
    assert (status, data) == (200, b"of the project")
    status, data, _ = asked("GET", f"/gradio_api/file={place}/plan/inside.txt", Range="bytes=3-5")
    assert (status, data) == (206, b"the")
    assert "default-src 'self'" in headers["content-security-policy"]


@pytest.mark.parametrize(
    "path",
    [
        "{0}/secret.txt",
        "{0}/plan/../secret.txt",
        "{0}/plan/%2e%2e/secret.txt",
        "{0}/plan/..%2fsecret.txt",
        "{0}/plan/%252e%252e/secret.txt",
        "{0}/plan/link.txt",
        "{0}/plan/linked/secret.txt",
        "{0}/plan-of-another/secret.txt",
        "plan/../secret.txt",
        "../secret.txt",
        "~/.bashrc",
        "/etc/passwd",
        "//etc/passwd",
        "file:///etc/passwd",
        "http://127.0.0.1:{1}/",
        "https://127.0.0.1:{1}/",
        "HTTP%3a//127.0.0.1:{1}/",
    ],
)
def test_nothing_else_is_served(asked: Asked, place: Path, path: str) -> None:
    filled = path.format(place, asked.port)
    for address in (f"/gradio_api/file={filled}", f"/file={filled}", f"/gradio_api/proxy={filled}", f"/{filled}",
                    f"/static/{filled}", f"/assets/{filled}"):  # fmt: skip
        status, data, _ = asked("GET", address)
        assert SECRET.encode() not in data
        assert b"root:" not in data
        assert status in (403, 404, 405) or b"<!doctype html>" not in data.lower() or status in (307, 308), address


def test_a_site_whose_name_leads_here_is_not_answered(asked: Asked) -> None:
    assert asked("GET", "/", Host=f"localhost:{asked.port}")[0] == 200
    assert asked("GET", "/", Host=f"127.0.0.1:{asked.port}")[0] == 200
    for name in ("films.example", f"films.example:{asked.port}", "127.0.0.1.example", ""):
        assert asked("GET", "/config", Host=name)[0] == 403


def test_uploads_are_bounded(asked: Asked, place: Path) -> None:
    status, data, _ = asked.upload("small.png", b"x" * 1000)
    assert status == 200
    kept = Path(json.loads(data)[0])
    assert kept.is_relative_to(place / "plan" / ".studio")
    assert asked.upload("large.png", b"x" * 200_000)[0] == 413
    status, data, _ = asked.upload("../../../escaped.png", b"x")
    assert not list(place.glob("**/escaped.png")) or Path(json.loads(data)[0]).is_relative_to(
        place / "plan" / ".studio"
    )


def test_a_path_that_was_not_uploaded_is_no_upload(asked: Asked, place: Path, film) -> None:
    """A film that is dropped is moved: one that lies elsewhere must not be said to have been."""
    (place / "elsewhere.mp4").write_bytes(film.path.read_bytes())
    config = json.loads(asked("GET", "/config")[1])
    (drop,) = [part["id"] for part in config["components"] if part["props"].get("elem_id") == "film-drop"]
    (event,) = [each["id"] for each in config["dependencies"] if each["inputs"] == [drop]]
    for path in (place / "elsewhere.mp4", place / "plan" / "link.txt", place / "plan" / "linked" / "elsewhere.mp4"):
        data = [{"path": str(path), "orig_name": path.name, "meta": {"_type": "gradio.FileData"}}]
        body = json.dumps({"data": data, "fn_index": event, "session_hash": "tests"}).encode()
        status, told, _ = asked("POST", "/gradio_api/run/predict", body, Content_Type="application/json")
        assert status >= 400 or b"error" in told, told
    assert (place / "elsewhere.mp4").exists()
    assert not (place / "plan" / "source").exists()


def test_the_page_has_no_programs_interface(asked: Asked) -> None:
    _, data, _ = asked("GET", "/gradio_api/info")
    assert json.loads(data)["named_endpoints"] == {}


def test_a_password_is_asked_where_one_is_given(tmp_path: Path, film) -> None:
    (tmp_path / "plan").mkdir()
    (tmp_path / "plan" / "inside.txt").write_text("of the project")
    with served(str(film.path), "project=plan", "user=anna", "password=two words", folder=tmp_path) as studio:
        ask = Asked(studio.address)
        file = f"/gradio_api/file={tmp_path}/plan/inside.txt"
        for path in ("/config", file, "/gradio_api/info"):
            assert ask("GET", path)[0] == 401, path
        assert ask.upload("a.png", b"x")[0] == 401
        basic = base64.b64encode(b"anna:two words").decode()
        assert ask("GET", file, Authorization=f"Basic {basic}")[0] == 401
        for word, status in (("another", 400), ("two words", 200)):
            form = urllib.parse.urlencode({"username": "anna", "password": word}).encode()
            answer = ask("POST", "/login", form, Content_Type="application/x-www-form-urlencoded")
            assert answer[0] == status
        cookie = answer[2]["set-cookie"].partition(";")[0]
        assert ask("GET", file, Cookie=cookie)[:2] == (200, b"of the project")


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (["host=0.0.0.0"], 2, "host=0.0.0.0 lets others in: give user= and password= as well"),
        (["host=192.168.1.2", "user=anna"], 2, "host=192.168.1.2 lets others in: give user= and password= as well"),
        (["user=anna"], 2, "user and password go together: give both"),
        (["port=99999"], 2, "port must be a whole number below 65536, not 99999"),
        (["upload=0"], 2, "upload must be a number of GB above 0, not 0"),
        (["nothing.mp4"], 1, "no film at"),
        (["project=film.txt"], 1, "is no folder: give another project"),
        (["film.txt"], 1, "film.txt"),
        (["nope=1"], 2, "unknown option"),
    ],
)
def test_a_wrong_option_is_answered_in_one_line(command, tmp_path: Path, options: list[str], code: int, said) -> None:
    (tmp_path / "film.txt").write_text("no film")
    ended, out, err = command(main)(*options)
    assert (ended, out) == (code, "")
    assert said in err
    assert len(err.splitlines()) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["film.txt"]


def test_a_second_studio_of_a_project_is_refused(command, tmp_path: Path) -> None:
    (tmp_path / "plan" / ".studio").mkdir(parents=True)
    with FileLock(tmp_path / "plan" / ".studio" / "studio.lock"):
        code, _, err = command(main)("project=plan", "port=0", "browser=false")
    assert code == 1
    assert "is open already: end that one, or give another project" in err


def test_a_port_that_is_taken_is_told_in_a_line(tmp_path: Path, film) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = run_command("studio", str(film.path), "project=plan", f"port={port}", "browser=false", folder=tmp_path)
    assert done.returncode == 1
    assert f"port {port}: it is taken, or not of this machine; give another port" in done.stderr
    assert len(done.stderr.splitlines()) == 1
