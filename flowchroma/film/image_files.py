"""One picture in, one picture out."""

import re
from pathlib import Path

import cv2
import numpy as np

from flowchroma.errors import UserError

_REDUCED = {
    1: cv2.IMREAD_COLOR_RGB,
    2: cv2.IMREAD_REDUCED_COLOR_2,
    4: cv2.IMREAD_REDUCED_COLOR_4,
    8: cv2.IMREAD_REDUCED_COLOR_8,
}
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)  # a UserError says it
_JPEG = b"\xff\xd8"
_PNG = b"\x89PNG"
_MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")  # neither a stuffed byte, nor fill, nor a restart inside a scan


def read_image(path: Path, reduction: int = 1, deep: bool = False) -> np.ndarray:
    """Decode a picture's file; see `decode_image`.

    Raises:
        UserError: The file is missing, no picture, or cut off.
    """
    try:
        with path.open("rb", buffering=0) as file:  # a buffer would be filled for nothing
            data = file.read()
    except OSError as error:
        raise UserError(f"cannot read the picture {path}: {error.strerror or error}") from error
    return decode_image(data, path, reduction, deep)


def decode_image(data: bytes, name: object, reduction: int = 1, deep: bool = False) -> np.ndarray:
    """Decode a picture, turned upright as its EXIF orientation says.

    Args:
        data: What a file holds, of any format that OpenCV reads.
        name: What messages call it.
        reduction: 1, 2, 4 or 8. A JPEG is decoded at that fraction of its size, sides rounded up; other formats gain
            nothing from it and come in full.
        deep: Keep more than 8 bits a sample.

    Returns:
        (H, W, 3) uint8 RGB; uint16 where it is to be deep, and the picture is.

    Raises:
        UserError: It is no picture, or cut off.
    """
    if _is_cut_off(data):
        raise UserError(f"the picture {name} is cut off: copy it again, or remove it")
    flags = _REDUCED[reduction if data.startswith(_JPEG) else 1]
    if deep:  # OpenCV 5.0 gives rubbish for deep TIFFs in the other order
        flags = cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH
    rgb = _decoded(data, flags)
    if rgb is None:
        rgb = _from_floats(_decoded(data, cv2.IMREAD_UNCHANGED), deep)
        if rgb is None:
            raise UserError(f"cannot read {name} as a picture: it is damaged, or of a format that OpenCV does not know")
        return rgb
    if rgb.dtype not in (np.uint8, np.uint16):
        rgb = (rgb.clip(0, 1) * 65535).round().astype(np.uint16)
    # Decoders give colour in this order at once; for fractions OpenCV has no flag that says so.
    return rgb if flags == cv2.IMREAD_COLOR_RGB else cv2.cvtColor(rgb, cv2.COLOR_BGR2RGB)


def _decoded(data: bytes, flags: int) -> np.ndarray | None:
    try:
        return cv2.imdecode(np.frombuffer(data, np.uint8), flags) if data else None
    except cv2.error:
        return None


def _from_floats(values: np.ndarray | None, deep: bool) -> np.ndarray | None:
    """A picture of floating point numbers, black at 0 and white at 1, as a scanner's or renderer's TIFF."""
    if values is None or values.dtype not in (np.float32, np.float64) or values.ndim not in (2, 3):
        return None
    steps, kind = (65535, np.uint16) if deep else (255, np.uint8)
    whole = (np.nan_to_num(values).clip(0, 1) * steps).round().astype(kind)
    if whole.ndim == 2:
        return cv2.cvtColor(whole, cv2.COLOR_GRAY2RGB)
    return cv2.cvtColor(whole, cv2.COLOR_BGR2RGB) if whole.shape[2] == 3 else None


def fill_transparent(path: Path, rgb: np.ndarray) -> np.ndarray:
    """Give each pixel of a picture that is more transparent than opaque the colour of the nearest opaque one.

    Args:
        path: The picture's file, whose transparency is read.
        rgb: (H, W, 3) uint8 RGB, as `read_image` gives it.

    Raises:
        UserError: Nothing in the picture is opaque.
    """
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        with Image.open(path) as picture:
            if not picture.has_transparency_data:
                return rgb
            alpha = np.asarray(ImageOps.exif_transpose(picture).convert("RGBA").getchannel("A"))
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return rgb  # of a format that Pillow does not know: OpenCV does, and has given its colours
    hidden = alpha < 128
    if hidden.all():
        raise UserError(f"the picture {path} is transparent all over: give one that shows something")
    if not hidden.any() or hidden.shape != rgb.shape[:2]:
        return rgb
    _, nearest = cv2.distanceTransformWithLabels(
        hidden.astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    colours = np.zeros((nearest.max() + 1, 3), np.uint8)
    colours[nearest[~hidden]] = rgb[~hidden]
    return np.where(hidden[..., None], colours[nearest], rgb)


def largest_reduction(size: tuple[int, int], at_least: tuple[int, int] | None) -> int:
    """The fraction, 1, 2, 4 or 8, of a picture of `size` that is still `at_least` so large (both height, width)."""
    if at_least is None:
        return 1
    return next((n for n in (8, 4, 2) if all(s // n >= t for s, t in zip(size, at_least, strict=True))), 1)


def encode_jpeg(rgb: np.ndarray, quality: int) -> bytes:
    """Encode (H, W, 3) uint8 RGB with colour at full resolution; quality is 1 to 100."""
    flags = [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
    _, data = cv2.imencode(".jpg", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), flags)
    return bytes(data)


def write_png(path: Path, rgb: np.ndarray) -> None:
    """Write (H, W, 3) uint8 or uint16 RGB.

    Raises:
        OSError: The file cannot be written.
    """
    done, data = cv2.imencode(".png", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR))
    if not done:
        raise OSError(f"OpenCV could not encode {path.name}")
    path.write_bytes(data.tobytes())


def _is_cut_off(data: bytes) -> bool:
    """Whether a JPEG or PNG ends early, which OpenCV fills with gray or black instead of failing."""
    if data.startswith(_PNG):
        return b"IEND" not in data[-64:] and b"IEND\xaeB`\x82" not in data
    return data.startswith(_JPEG) and not _reaches_end_of_jpeg(data)


def _reaches_end_of_jpeg(data: bytes) -> bool:
    # Segment by segment: an EXIF thumbnail has an end marker of its own, and anything may follow the picture's.
    at = 2
    while found := _MARKER.search(data, at):
        marker, at = found.group()[1], found.end()
        # Once the picture itself has begun, its end marker is the only one that files usually end with.
        if marker == 0xD9 or (marker == 0xDA and data.endswith(b"\xff\xd9")):
            return True
        if marker != 0x01:  # all others open a segment that starts with its length
            at += int.from_bytes(data[at : at + 2], "big")
    return False
