import av
import cv2
import numpy as np
import pytest
import torch

from flowchroma.color import rgb_to_lab
from flowchroma.film import open_film


def lab(rgb):
    return rgb_to_lab(torch.from_numpy(np.ascontiguousarray(rgb)).permute(2, 0, 1)).numpy()


def test_several_references_of_several_sizes(tmp_path, run, system, film_file, picture):
    film_file(tmp_path / "in.mp4", frames=2)
    picture(tmp_path / "red, dark.png", (200, 40, 40), (50, 70))
    picture(tmp_path / "[blue].png", (40, 40, 200), (30, 40))
    for typed, sizes in (
        ("red, dark.png", [(50, 70)]),
        ("[blue].png", [(30, 40)]),
        ("[[blue].png,[blue].png]", [(30, 40), (30, 40)]),
    ):
        system.calls.clear()
        code, _, said = run("source=in.mp4", f"reference={typed}", "output=out.mp4", "overwrite=true")
        assert code == 0, said
        assert [call for call in system.calls if call[0] == "encode"] == [
            ("encode", (1, 1, 3, *size)) for size in sizes
        ]
    code, _, said = run("source=in.mp4", "reference=[]", "output=none.mp4")
    assert code == 1
    assert "no reference: give" in said
    assert not (tmp_path / "none.mp4").exists()


@pytest.mark.parametrize("size", [(64, 96), (96, 64), (65, 97), (33, 130)])
def test_a_film_keeps_its_light_and_takes_the_reference_s_colour(tmp_path, run, system, size, film_file, picture):
    film_file(tmp_path / "in.mp4", size=size)
    picture(tmp_path / "ref.png")
    code, out, _ = run("source=in.mp4", "reference=ref.png", "output=out/deep/film.mp4")
    assert code == 0
    assert out.startswith("6 frames, ")
    assert out.endswith("out/deep/film.mp4\n")
    source, made = open_film("in.mp4"), open_film("out/deep/film.mp4")
    assert (made.size, len(made), made.rate) == (size, 6, 24)
    wanted = rgb_to_lab(torch.tensor([200, 80, 60], dtype=torch.uint8).view(3, 1, 1))[1:, 0, 0].numpy()
    for before, after in zip(source, made, strict=True):
        assert np.abs(lab(after)[0] - lab(before)[0]).mean() < 1.5
        middling = (lab(before)[0] > 35) & (lab(before)[0] < 65)  # where that colour lies inside the gamut
        assert np.abs(lab(after)[1:][:, middling].mean(1) - wanted).max() < 4


def test_sound_comes_along(tmp_path, run, system, film_file, picture):
    film_file(tmp_path / "in.mp4", sound=True)
    picture(tmp_path / "ref.png")
    run("source=in.mp4", "reference=ref.png", "output=out.mp4")
    with av.open("in.mp4") as before, av.open("out.mp4") as after:
        packets = [[bytes(p) for p in film.demux(audio=0) if p.size] for film in (before, after)]
    assert packets[0] == packets[1]
    assert len(packets[0]) > 5


@pytest.mark.parametrize(("spec", "frame"), [("first", 0), ("2", 2)])
def test_a_reference_from_the_film_keeps_that_frame_s_colour_exactly(tmp_path, run, system, spec, frame):
    scene = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    (tmp_path / "in").mkdir()
    for n in range(4):
        cv2.imwrite(str(tmp_path / "in" / f"s{n}.png"), np.roll(scene, n, axis=1))
    assert run("source=in/", f"reference={spec}", "output=out")[0] == 0
    source, made = open_film("in"), open_film("out")
    assert [f.name for f in made.files] == [f"s{n}.png" for n in range(4)]
    assert np.abs(made.read([frame])[0].astype(int) - source.read([frame])[0]).max() <= 1
    kinds = [kind for kind, _ in system.calls]
    assert kinds == ["encode"] + ["match"] * (3 + frame)  # the frames before it from both sides
    for n in set(range(4)) - {frame}:
        assert np.abs(made.read([n])[0].astype(int) - source.read([n])[0]).max() > 20  # its own colour is not used


@pytest.mark.parametrize(
    ("size", "frames", "reference"), [(32, (32, 48), (32, 45)), (240, (64, 96), (50, 70)), (50, (50, 75), (50, 70))]
)
def test_chroma_is_computed_small_but_never_larger_than_the_film(
    tmp_path, run, system, size, frames, reference, film_file, picture
):
    film_file(tmp_path / "in.mp4", frames=2)
    picture(tmp_path / "ref.png")
    assert run("source=in.mp4", "reference=ref.png", "output=out.mp4", f"size={size}")[0] == 0
    assert system.calls[0] == ("encode", (1, 1, 3, *reference))
    assert system.calls[1] == ("match", (1, 1, *frames))


@pytest.mark.parametrize("fps", ["24000/1001", "12", "23.976"])
def test_a_folder_becomes_a_film_at_the_rate_given(tmp_path, run, system, fps, picture):
    for n in range(5):
        picture(tmp_path / "in" / f"{n}.png")
    assert run("source=in", "reference=first", "output=out.mp4", f"fps={fps}")[0] == 0
    assert float(open_film("out.mp4").rate) == pytest.approx(12 if fps == "12" else 24000 / 1001)


def test_one_frame_is_a_film(tmp_path, run, system, film_file, picture):
    film_file(tmp_path / "in.mp4", frames=1)
    picture(tmp_path / "ref.png")
    assert run("source=in.mp4", "reference=ref.png", "output=out.mp4")[0] == 0
    assert len(open_film("out.mp4")) == 1


NAMES = [
    "My film (1923), part 1.mp4",
    "a=b, {c}: [d] #e.mp4",
    "'tis.mp4",
    "映画 ünïcode.mp4",
    "${oc.env:HOME} $x.mp4",
    "-dash.mp4",
]


@pytest.mark.parametrize("name", NAMES)
def test_names_work_as_typed(tmp_path, run, system, name, film_file, picture):
    film_file(tmp_path / name, frames=2)
    picture(tmp_path / f"{name}.png")
    code, _, err = run(f"source={name}", f"reference={name}.png", f"output=out {name}")
    assert (code, err.count("flowchroma:")) == (0, 0)
    assert (tmp_path / f"out {name}").is_file()
    assert len(list(tmp_path.iterdir())) == 3


def test_light_of_16_bits_stays_in_16(tmp_path, run, system, picture):
    values = np.linspace(25000, 40000, 64 * 96).round().astype(np.uint16).reshape(64, 96)
    (tmp_path / "in").mkdir()
    for n in range(2):
        assert cv2.imwrite(str(tmp_path / "in" / f"{n}.png"), values)
    picture(tmp_path / "ref.png", (150, 110, 100))
    assert run("source=in", "reference=ref.png", "output=out")[0] == 0
    made = cv2.imread(str(tmp_path / "out" / "1.png"), cv2.IMREAD_UNCHANGED)
    assert made.dtype == np.uint16
    assert len(np.unique(made[:, :, 1])) > 5000
    light = lab(made[:, :, ::-1].astype(np.float32) / 65535)
    assert np.abs(light[0] - lab(np.dstack([values] * 3).astype(np.float32) / 65535)[0]).max() < 0.01
    assert np.hypot(*light[1:]).mean() > 5
