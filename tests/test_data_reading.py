"""The reader: every mode, depth and transparency becomes 8-bit RGB by one rule per data set, kept with the network."""

from __future__ import annotations

import subprocess
import sys
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image

from frostnas.artifacts import ImageFormat, Reading
from frostnas.config import DataConfig, DataName
from frostnas.data import Splits, load
from frostnas.data.held_out import held_out
from frostnas.data.look import look_at
from frostnas.deploy.runtime import _images_of, metadata_of
from frostnas.errors import InputError
from frostnas.picture import MAX_PIXELS, fit, read_picture

SIDES = st.integers(1, 9)
SHAPES = st.tuples(SIDES, SIDES)


def stored(image: Image.Image, kind: str, **how: object) -> BytesIO:
    file = BytesIO()
    image.save(file, kind, **how)
    file.seek(0)
    return file


@st.composite
def pictures(draw: st.DrawFn, dtype: type, channels: int = 0, **elements: float) -> np.ndarray:
    shape = draw(SHAPES) + ((channels,) if channels else ())
    return draw(arrays.arrays(dtype, shape, elements=arrays.from_dtype(np.dtype(dtype), **elements)))


@settings(deadline=None, max_examples=30)
@given(pictures(np.uint8), st.sampled_from(["1", "L", "P"]))
def test_opaque_grey_of_8_bits_is_kept_as_it_is(grey: np.ndarray, mode: str) -> None:
    image = Image.fromarray(grey).convert(mode, dither=Image.Dither.NONE)
    expected = grey if mode != "1" else np.where(grey >= 128, 255, 0)
    assert (read_picture(stored(image, "PNG"), Reading()) == expected[:, :, None]).all()


@settings(deadline=None, max_examples=30)
@given(pictures(np.uint8, 3))
def test_colour_of_8_bits_is_kept_as_it_is(colour: np.ndarray) -> None:
    image = Image.fromarray(colour)
    assert (read_picture(stored(image, "PNG"), Reading()) == colour).all()
    assert read_picture(stored(image.convert("CMYK"), "TIFF"), Reading()).shape == colour.shape


@settings(deadline=None, max_examples=30)
@given(pictures(np.uint8, 4), st.tuples(*[st.integers(0, 255)] * 3))
def test_transparent_parts_show_the_background(pixels: np.ndarray, background: tuple[int, int, int]) -> None:
    seen = read_picture(stored(Image.fromarray(pixels, "RGBA"), "PNG"), Reading(background)).astype(float)
    share = pixels[:, :, 3:] / 255
    expected = pixels[:, :, :3] * share + np.array(background) * (1 - share)
    assert np.abs(seen - expected).max() <= 1


@settings(deadline=None, max_examples=20)
@given(pictures(np.uint8, 2))
def test_grey_with_alpha_is_composed_like_colour_with_alpha(pixels: np.ndarray) -> None:
    image = Image.fromarray(pixels, "LA")
    both = (read_picture(stored(one, "PNG"), Reading((0, 90, 255))) for one in (image, image.convert("RGBA")))
    assert (next(both) == next(both)).all()


@settings(deadline=None, max_examples=20)
@given(pictures(np.uint8, max_value=3), st.integers(0, 3))
def test_a_transparent_colour_of_a_palette_shows_the_background(indices: np.ndarray, clear: int) -> None:
    image = Image.fromarray(indices, "P")
    image.putpalette([10, 20, 30, 40, 50, 60, 70, 80, 90, 100, 110, 120])
    for kind in ("PNG", "GIF"):
        seen = read_picture(stored(image, kind, transparency=clear), Reading((1, 2, 3)))
        assert (seen[indices == clear] == (1, 2, 3)).all()
        assert (seen[indices != clear] >= 10).all()


@settings(deadline=None, max_examples=40)
@given(st.one_of(pictures(np.uint16), pictures(np.int32), pictures(np.float32)), st.data())
def test_deep_grey_is_linear_between_black_and_white_and_cut_off_outside(
    values: np.ndarray, data: st.DataObject
) -> None:
    black = data.draw(st.integers(-5000, 5000))
    white = black + data.draw(st.integers(1, 70000))
    seen = read_picture(stored(Image.fromarray(values), "TIFF"), Reading(levels=(black, white)))
    expected = np.nan_to_num((values.astype(float) - black) / (white - black)).clip(0, 1) * 255
    assert np.abs(seen - expected[:, :, None]).max() <= 0.5 + 1e-6


@pytest.mark.parametrize("order", ["<", ">"])
def test_both_byte_orders_of_16_bits_are_read(order: str) -> None:
    values = np.array([[0, 1000, 65535]], f"{order}u2")
    seen = read_picture(
        stored(Image.frombytes("I;16" if order == "<" else "I;16B", (3, 1), values.tobytes()), "TIFF"),
        Reading(levels=(0, 65535)),
    )
    assert seen[0, :, 0].tolist() == [0, 4, 255]


@settings(deadline=None, max_examples=60)
@given(st.binary(max_size=200) | st.sampled_from(["PNG", "GIF", "TIFF", "BMP", "JPEG"]), st.data())
def test_a_damaged_file_has_a_reason_or_can_be_read(
    tmp_path_factory: pytest.TempPathFactory, content: bytes | str, data: st.DataObject
) -> None:
    if isinstance(content, str):
        whole = bytearray(stored(Image.new("RGB", (7, 5), "red"), content).getvalue())
        for _ in range(data.draw(st.integers(1, 4))):
            whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
        content = bytes(whole)
    path = tmp_path_factory.getbasetemp() / "damaged"
    path.write_bytes(content)
    look = look_at(path)
    if isinstance(look, str):
        assert look
    else:
        assert read_picture(path, Reading(levels=(0, 1))).dtype == np.uint8


@settings(deadline=None, max_examples=50)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 30), st.integers(0, 2**32 - 1))
def test_the_square_is_that_of_the_whole_picture_resized(height: int, width: int, size: int, seed: int) -> None:
    picture = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    short = min(height, width)
    tall, wide = size * height // short, size * width // short
    top, left = round((tall - size) / 2), round((wide - size) / 2)
    resized = np.asarray(Image.fromarray(picture).resize((wide, tall), Image.Resampling.BILINEAR))
    apart = np.abs(fit(picture, size).astype(int) - resized[top : top + size, left : left + size])
    assert apart.max() <= 1


def test_a_long_strip_takes_no_more_memory_than_its_square(tmp_path: Path) -> None:
    """Resizing the whole of it to 512 pixels in height would take 7.9 GB."""
    Image.new("RGB", (30000, 3), "blue").save(tmp_path / "strip.png")
    script = (
        "import resource; from pathlib import Path; from frostnas.artifacts import Reading; "
        "from frostnas.picture import fit, read_picture; before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss; "
        f"square = fit(read_picture(Path({str(tmp_path / 'strip.png')!r}), Reading()), 512); "
        "assert square.shape == (512, 512, 3) and (square == (0, 0, 255)).all(); "
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    assert int(ran.stdout) < 50_000  # KiB


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")  # as outside of pytest
def test_a_picture_of_too_many_pixels_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    side = int(MAX_PIXELS**0.5) + 1
    Image.new("1", (side, side)).save(tmp_path / "large.png")
    fault = look_at(tmp_path / "large.png")
    assert isinstance(fault, str) and "expected at most 128,000,000" in fault


def write(folder: Path, name: str, values: np.ndarray, mode: str | None = None) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values, mode).save(folder / name)


def read(root: Path, **changes: object) -> Splits:
    config = DataConfig(name=DataName.imagefolder, root=str(root), image_size=8, **changes)  # type: ignore[arg-type]
    return load(config, torch.device("cpu"))


def squares(low: float, high: float, dtype: type) -> np.ndarray:
    """A picture of 8 x 8 with two values."""
    return np.array([[low] * 8] * 4 + [[high] * 8] * 4, dtype)


@pytest.mark.parametrize(
    ("dtype", "values", "levels"),
    [
        (np.uint16, (0, 90, 255, 60000), (0, 65535)),
        (np.uint16, (0, 90, 255, 3000), (0, 4095)),
        (np.uint16, (0, 90, 255, 1000), (0, 1023)),
        (np.uint16, (0, 90, 255, 255), (0, 255)),
        (np.float32, (0, 0.25, 0.5, 0.75), (0, 1)),
        (np.float32, (0, 10, 20, 255), (0, 255)),
        (np.float32, (0, 0.5, 2, 4.75), (0, 4.75)),
        (np.int32, (-1024, 0, 40, 3071), (-1024, 3071)),
        (np.float32, (-2.5, -2.5, -2.5, -2.5), (-2.5, -1.5)),
    ],
)
def test_levels_are_found_from_all_pictures_and_said_once(
    tmp_path: Path, dtype: type, values: tuple[float, ...], levels: tuple[float, float]
) -> None:
    for number in range(6):  # every picture but one holds the lower values alone
        write(tmp_path / "a", f"{number}.tiff", squares(*values[:2], dtype))
        write(tmp_path / "b", f"{number}.tiff", squares(*(values[2:] if number == 5 else values[1:3]), dtype))
    splits = read(tmp_path)
    assert splits.format.reading.levels == levels
    said = [note for note in splits.notes if "deeper than 8 bits" in note]
    assert len(said) == 1 and f"black is {levels[0]:g} and white {levels[1]:g}" in said[0]


def test_equal_values_of_a_dark_and_a_bright_16_bit_picture_are_equal_greys(tmp_path: Path) -> None:
    for number in range(4):
        write(tmp_path / "bright", f"{number}.png", squares(200, 60000, np.uint16))
        write(tmp_path / "dark", f"{number}.png", squares(200, 250, np.uint16))
    splits = read(tmp_path, in_memory_mb=0, workers=0, test_fraction=0.25, val_fraction=0.4)
    greys = {round(float(value)) for pixels, _ in splits.train.batches(9) for value in _bytes(pixels, splits).flatten()}
    assert greys == {1, 233}  # 200 and 250 of 65535; 60000
    assert any("4 come out as a single grey" in note for note in splits.notes)


def _bytes(pixels: torch.Tensor, splits: Splits) -> torch.Tensor:
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (splits.format.mean, splits.format.std))
    return ((pixels * std + mean) * 255).round()


def test_a_given_rule_is_kept_with_the_run(tmp_path: Path) -> None:
    for number in range(4):
        write(tmp_path / "a", f"{number}.png", squares(0, 255, np.uint16))
        write(tmp_path / "b", f"{number}.png", np.full((8, 8, 4), 250, np.uint8))
    splits = read(tmp_path, levels=[10.0, 1000.0], background=[255, 0, 0], test_fraction=0.25, val_fraction=0.4)
    assert splits.format.reading == Reading((255, 0, 0), (10, 1000))
    assert any("4 of 8 pictures have transparent parts" in note and "[255, 0, 0]" in note for note in splits.notes)


@pytest.mark.parametrize("shade", [0, 255])
def test_a_shape_that_lives_in_the_alpha_channel_is_seen_whatever_its_colour(tmp_path: Path, shade: int) -> None:
    pixels = np.full((8, 8, 4), shade, np.uint8)
    pixels[:, :, 3] = [[0]] * 4 + [[255]] * 4
    write(tmp_path, "shape.png", pixels)
    seen = read_picture(tmp_path / "shape.png", Reading()).astype(int)
    assert abs(seen[0, 0] - seen[-1, -1]).min() > 100


@pytest.mark.parametrize("levels", [None, (0.0, 4095.0), (-1024.5, 3071.0)])
def test_the_rule_is_in_the_exported_file(levels: tuple[float, float] | None) -> None:
    images = ImageFormat(("a", "b"), 8, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5), Reading((1, 2, 3), levels))
    assert _images_of(Path("model.onnx"), metadata_of(images, "", "")) == images


def test_the_held_out_pictures_are_read_by_the_rule_of_the_network(tmp_path: Path) -> None:
    for number in range(8):
        write(tmp_path / "train" / "a", f"{number}.png", squares(0, 4000, np.uint16))
        write(tmp_path / "train" / "b", f"{number}.png", squares(0, 2000, np.uint16))
        for name in ("a", "b"):
            write(tmp_path / "test" / name, f"{number}.png", squares(0, 200, np.uint16))
    splits = read(tmp_path)
    config = DataConfig(name=DataName.imagefolder, root=str(tmp_path), image_size=8)
    pixels, _ = next(held_out(config, splits.format).batches(4, config))
    assert np.unique(pixels).tolist() == [0, 12]  # of 4095, though the test pictures alone would have been of 255


def test_deep_pictures_are_refused_by_a_network_that_learnt_from_none(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write(tmp_path / "test" / name, "deep.png", squares(0, 200, np.uint16))
    images = ImageFormat(("a", "b"), 8, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    config = DataConfig(name=DataName.imagefolder, root=str(tmp_path), image_size=8)
    with pytest.raises(InputError, match=r"2 pictures are deeper .* expected data\.levels=\[BLACK,WHITE\]"):
        held_out(config, images)
    config.levels = [0.0, 200.0]
    assert np.unique(next(held_out(config, images).batches(4, config))[0]).tolist() == [0, 255]
