"""The report: what is in the page, and, in a real browser, what it does."""

from __future__ import annotations

import base64
import io
import json
import os
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from lungmorph.quality import assess
from lungmorph.quality.error_network import OFFSET_MM
from lungmorph.quality.predict import PredictedError
from lungmorph.report.contents import Report
from lungmorph.report.index import write_index
from lungmorph.report.page import render, write_report
from lungmorph.report.sheets import MOST_VOXELS, linear_bytes, log_bytes, make_sheet, shown_grid
from lungmorph.simulate import SimulatedPair
from lungmorph.space import Grid

CHROMIUM = (
    shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
)


def unpacked(sheet: dict[str, Any], size: tuple[int, int, int]) -> np.ndarray:
    """A volume (D, H, W) from its sheet, tile by tile."""
    nx, ny, nz = size
    data = base64.b64decode(sheet["src"].split(",", 1)[1])
    picture = np.asarray(Image.open(io.BytesIO(data)))
    tiles = []
    for z in range(nz):
        row, column = divmod(z, sheet["columns"])
        tiles.append(picture[row * ny : (row + 1) * ny, column * nx : (column + 1) * nx])
    return np.stack(tiles)


def test_sheets_come_back_to_the_byte_or_nearly() -> None:
    values = np.random.default_rng(0).integers(0, 256, (7, 5, 9)).astype(np.uint8)
    exact = make_sheet(values, exact=True)
    assert exact.src.startswith("data:image/png;base64,")
    np.testing.assert_array_equal(unpacked(exact.as_dict(), (9, 5, 7)), values)
    smooth = np.add.outer(np.add.outer(np.arange(12) * 6, np.arange(20) * 2), np.arange(24) * 3)
    near = unpacked(make_sheet(smooth.astype(np.uint8), exact=False).as_dict(), (24, 20, 12))
    assert np.abs(near.astype(int) - smooth).max() < 12


def test_bytes_of_values() -> None:
    values = np.array([-5, 0, 5, 10, 20, np.nan], np.float32)
    np.testing.assert_array_equal(linear_bytes(values, 0, 10), [0, 0, 128, 255, 255, 0])
    changes = np.array([0.0, -1.0, 1 / 3, 1.0, 3.0, 9.0], np.float32)
    # the lowest byte is for what is folded, and for nothing else
    np.testing.assert_array_equal(log_bytes(changes, 1 / 3, 3), [0, 0, 1, 128, 255, 255])
    np.testing.assert_array_equal(log_bytes(np.array([0.1, np.nan], np.float32), 1 / 3, 3), [1, 0])


def test_large_chests_are_shown_coarser() -> None:
    grid = shown_grid(np.array([-250.0, -200, -300]), np.array([250.0, 200, 300]))
    assert 0.8 * MOST_VOXELS < grid.voxels < 1.1 * MOST_VOXELS
    assert shown_grid(np.zeros(3), np.full(3, 50.0)).spacing == (1.25, 1.25, 1.25)


@pytest.fixture(scope="module")
def report(small_pair: SimulatedPair) -> Report:
    pair = small_pair
    marks = (pair.fixed_landmarks, pair.moving_landmarks)
    lattice = Grid.covering(*pair.fixed.grid.bounds(), 3.0, margin=6.0)
    error = torch.zeros(lattice.shape)
    error[:, :, : lattice.size[0] // 2] = 4.0  # the patient's right
    # in the lower half of it, the images do not say so
    gain = torch.where(
        torch.arange(lattice.size[2])[:, None, None] < lattice.size[2] // 2, 0.0, 0.1
    )
    predicted = PredictedError(
        (error + OFFSET_MM).log(),
        torch.full(lattice.shape, 0.3),
        pair.fixed_lungs.resample(lattice).data > 0,
        torch.ones(lattice.shape, dtype=torch.bool),
        torch.ones(lattice.shape, dtype=torch.bool),
        torch.zeros(lattice.shape, dtype=torch.bool),
        gain.expand(lattice.shape),
        lattice,
    )
    found = assess(
        pair.fixed,
        pair.moving,
        pair.fixed_lungs,
        pair.moving_lungs,
        pair.truth,
        landmarks=marks,
        predicted=predicted,
    )
    return Report(
        title="<exhale> & inhale",
        subtitle="a test",
        fixed=pair.fixed,
        moving=pair.moving,
        fixed_lungs=pair.fixed_lungs,
        transform=pair.truth,
        assessment=found,
        landmarks=marks,
        method={"preset": "</script><script>alert(1)</script>", "fixed": "long" * 99},
    )


@pytest.fixture(scope="module")
def page(report: Report) -> str:
    return render(report)


def test_of_several_files_none_is_given_out_for_the_whole(report: Report, page: str) -> None:
    assert "lungmorph apply transform.h5 " in page
    odd = render(replace(report, transform_files=["my `warp`.h5"]))
    assert "lungmorph apply &#39;my `warp`.h5&#39; OTHER" in odd
    both = render(replace(report, transform_files=["1Warp.nii.gz", "0GenericAffine.mat"]))
    assert "<code>1Warp.nii.gz</code>, <code>0GenericAffine.mat</code>" in both
    assert "lungmorph apply" not in both
    assert "an image of displacements is a <em>Transform</em>" in both
    assert "image of displacements" not in page


def test_what_slicer_does_not_understand_is_not_said_to_open_there(report: Report) -> None:
    name = "TransformParameters.1.txt"
    text = render(replace(report, transform_files=[name], foreign_files=[name]))
    assert f"Slicer does not understand <code>{name}</code>" in text
    assert "Drag the moving scan" not in text
    assert f"lungmorph apply {name} " in text


def data_of(page: str) -> dict[str, Any]:
    found = re.search(r'id="viewer-data">(.*?)</script>', page, re.DOTALL)
    assert found
    data: dict[str, Any] = json.loads(found.group(1))
    return data


def test_it_needs_no_network_and_escapes_what_comes_from_outside(page: str) -> None:
    assert not re.search(r'(src|href)\s*=\s*["\']?(https?:)?//', page)
    assert "&lt;exhale&gt; &amp; inhale" in page
    assert "<script>alert" not in page
    assert len(page) < 15e6


def test_what_is_shown_lies_where_it_is(page: str, report: Report) -> None:
    """A voxel of the sheets against the scan at the same place of the world."""
    data = data_of(page)
    size = tuple(data["size"])
    lungs = unpacked(data["sheets"]["lungs"], size) > 127
    error = unpacked(data["sheets"]["predicted-error"], size)
    k, j, i = (axis[::97] for axis in np.nonzero(lungs))
    world = np.asarray(data["origin"]) + np.stack([i, j, k], 1) * data["spacing"]
    grid = report.fixed.grid
    index = np.rint(grid.to_index(world)).astype(int)
    assert report.fixed_lungs.data.numpy()[index[:, 2], index[:, 1], index[:, 0]].mean() > 0.97
    right = world[:, 0] < grid.center[0] - 4
    left = world[:, 0] > grid.center[0] + 4
    assert np.median(error[k, j, i][right]) == round(255 * 0.4)
    assert error[k, j, i][left].max() == 0
    wrong, undecided = (
        unpacked(data["sheets"][name], size)[k, j, i] for name in ("wrong", "undecided")
    )
    low = world[:, 2] < grid.center[2] - 4
    high = world[:, 2] > grid.center[2] + 4
    assert (wrong[right & high] > 0).mean() > 0.97
    assert wrong[left].max() == wrong[low].max() == 0
    assert (undecided[right & low] > 0).mean() > 0.97
    assert undecided[left].max() == undecided[high].max() == 0
    fixed = unpacked(data["sheets"]["fixed"], size)[k, j, i] / 255 * 1700 - 1100
    there = report.fixed.data.numpy()[index[:, 2], index[:, 1], index[:, 0]]
    assert np.corrcoef(fixed, there)[0, 1] > 0.8


def test_wrong_places_are_listed_and_the_view_begins_there(page: str, report: Report) -> None:
    assert report.assessment.predicted is not None
    places = report.assessment.predicted.places
    assert "Places to look at (1)" in page
    # in the words of the verdict and of the crosshair
    assert places[0].said.startswith("R ")
    assert page.count(places[0].said) == 2
    data = data_of(page)
    start = np.asarray(data["origin"]) + np.asarray(data["start"]) * data["spacing"]
    assert np.abs(start - places[0].at).max() <= data["spacing"] / 2 + 0.01


def test_what_is_undecided_is_said_without_a_wrong_place_too(page: str, report: Report) -> None:
    assert 'id="undecided"' in page
    predicted = report.assessment.predicted
    assert predicted is not None
    unsure = replace(predicted, gain=torch.zeros_like(predicted.gain))
    alone = render(replace(report, assessment=replace(report.assessment, predicted=unsure)))
    assert 'id="undecided"' in alone
    data = data_of(alone)
    start = np.asarray(data["origin"]) + np.asarray(data["start"]) * data["spacing"]
    assert np.abs(start - unsure.undecided_places[0].at).max() <= data["spacing"] / 2 + 0.01
    assert "Places to look at (" not in alone
    assert "no air" not in alone
    closed = replace(predicted, airless=torch.ones_like(predicted.airless))
    beside = render(replace(report, assessment=replace(report.assessment, predicted=closed)))
    assert 'id="undecided"' in beside
    assert "no air" in beside
    assert "Places to look at (" not in beside
    sure = replace(predicted, gain=torch.ones_like(predicted.gain))
    without = render(replace(report, assessment=replace(report.assessment, predicted=sure)))
    assert 'id="undecided"' not in without


def test_landmarks_worst_first_and_figures_on_top(page: str, report: Report) -> None:
    assert report.landmarks is not None
    count = len(report.landmarks[0])
    assert f"Landmarks ({count})" in page
    assert page.count("<tr data-at=") == count + 1  # and the wrong place
    assert "landmark error" in page
    assert 'id="verdict">fail<' in page


# ------------------------------------------------------------------ in a browser

STEPS = """
<script>
(async () => {
  const said = {};
  for (let n = 0; n < 3000 && !document.documentElement.dataset.ready; n++) await new Promise((r) => setTimeout(r, 20));
  const v = window.lungmorphViewer, canvas = (n) => document.querySelectorAll("#viewer canvas")[n];
  const frame = () => new Promise((r) => requestAnimationFrame(() => requestAnimationFrame(r)));
  const sum = (n) => {
    const c = canvas(n);
    return c.getContext("2d").getImageData(0, 0, c.width, c.height).data.reduce((a, b) => a + b, 0);
  };
  const press = (from, k) => from.dispatchEvent(new KeyboardEvent("keydown", { key: k, bubbles: true, cancelable: true }));
  const key = async (k) => { document.body.dispatchEvent(new KeyboardEvent("keydown", { key: k, bubbles: true })); await frame(); };
  await frame();
  said.ready = !!v;
  said.caption = document.getElementById("shown").textContent;
  said.outlined = !document.getElementById("outlined").hidden;
  said.bar = document.querySelector(".bar:not([hidden])").textContent;
  said.start = v.state.at.slice();
  said.overlay = v.state.overlay;
  const before = [sum(0), sum(1), sum(2)];
  const slider = document.querySelector("[data-plane=axial] input");
  slider.value = +slider.value + 5;
  slider.dispatchEvent(new Event("input"));
  await frame();
  said.sliderMoves = v.state.at[2] - said.start[2];
  said.onlyAxialChanged = [sum(0) !== before[0], sum(1) !== before[1], sum(2) !== before[2]];
  await key("PageDown");
  said.pageDown = v.state.at[2] - said.start[2];
  const tinted = (n, [r, g, b]) => {
    const c = canvas(n), p = c.getContext("2d").getImageData(0, 0, c.width, c.height).data;
    let count = 0;
    for (let i = 0; i < p.length; i += 4) count += p[i] === r && p[i + 1] === g && p[i + 2] === b;
    return count;
  };
  const rims = () => [tinted(1, [0, 229, 255]), tinted(1, [255, 176, 0])];
  said.outlines = rims();
  // a place without error, and one with: the colours on and off
  const cell = (x, y) => { const d = canvas(1).getContext("2d").getImageData(x, y, 1, 1).data; return [d[0], d[1], d[2]].join(); };
  const lungs = v.volumes.lungs, error = v.volumes["predicted-error"];
  const [w, h, d] = [canvas(0).width, canvas(0).height, canvas(1).height];
  const somewhere = (wanted) => {
    for (let z = 0; z < d; z++) for (let x = 0; x < w; x++) {
      const index = x + v.state.at[1] * w + z * w * h;
      if (lungs[index] > 127 && wanted(error[index]) && !(v.volumes.wrong[index] || v.volumes.undecided[index])) return [x, d - 1 - z];
    }
  };
  const right = somewhere((e) => e === 0), told = cell(...right);
  v.state.overlay = "none"; v.draw(); await frame();
  said.noErrorHidesNoLung = cell(...right) === told;
  v.state.overlay = said.overlay; v.draw(); await frame();
  await key("e");
  said.withoutOutlines = rims();
  said.outlinedAfter = !document.getElementById("outlined").hidden;
  await key("2");
  said.base = v.state.base;
  await key("o");
  said.overlayAfterO = v.state.overlay;
  await key("w");
  said.window = v.state.window;
  await key(" ");
  said.flipped = v.state.base;
  const box = canvas(0).parentElement, r = box.getBoundingClientRect();
  box.setPointerCapture = () => {};
  const c = canvas(0);
  box.dispatchEvent(new PointerEvent("pointerdown", {
    clientX: r.left + (r.width * 10.5) / c.width, clientY: r.top + (r.height * 20.5) / c.height, bubbles: true }));
  await frame();
  said.clicked = v.state.at.slice(0, 2);
  // both scans at once, with one crosshair
  const twins = document.querySelector(".twins");
  said.alone = twins.hidden;
  await key("2");
  const fixedAlone = sum(1);
  await key("4");
  const warpedAlone = sum(1);
  await key("6");
  said.beside = [twins.hidden, sum(1) === fixedAlone, sum(4) === warpedAlone, fixedAlone !== warpedAlone];
  const twin = twins.querySelector("[data-twin=coronal] .picture"), t = twin.getBoundingClientRect();
  twin.setPointerCapture = () => {};
  twin.dispatchEvent(new PointerEvent("pointerdown", {
    clientX: t.left + (t.width * 30.5) / canvas(4).width, clientY: t.top + (t.height * 40.5) / canvas(4).height, bubbles: true }));
  await frame();
  said.twinClicked = [v.state.at[0], canvas(4).height - 1 - v.state.at[2]];
  said.lines = [1, 4].map((n) => canvas(n).parentElement.querySelector(".vertical").style.left);
  await key("1");
  said.aloneAgain = twins.hidden;
  const row = document.querySelector("#landmarks tr[data-at]");
  row.click();
  await frame();
  said.row = JSON.parse(row.dataset.at);
  said.wentTo = v.state.at.slice();
  said.readout = document.getElementById("readout").textContent;
  const heads = document.querySelectorAll("#landmarks th");
  heads[4].click();
  const errors = [...document.querySelectorAll("#landmarks tbody tr")].map((tr) => +tr.cells[4].textContent);
  said.sorted = errors.every((e, n) => n === 0 || errors[n - 1] <= e);
  said.overflow = document.documentElement.scrollWidth - window.innerWidth;
  said.saturated = [v.say("jacobian", 0), v.say("jacobian", 1), v.say("predicted-error", 0), v.say("predicted-error", 255)];
  // a press that is left to the browser is not prevented
  const picture = document.querySelector("[data-plane=coronal] .picture");
  picture.focus({ preventScroll: true });
  said.active = v.state.active;
  said.leaves = press(picture, "Tab");
  slider.focus({ preventScroll: true });
  const shown = v.state.overlay;
  press(slider, "o");
  said.sliderLetsLettersThrough = v.state.overlay !== shown;
  said.sliderKeepsArrows = press(slider, "ArrowLeft");
  const here = v.state.at.slice(), rows = document.querySelectorAll("#landmarks tbody tr");
  rows[3].focus({ preventScroll: true });
  press(rows[3], "Enter");
  said.enterGoes = v.state.at.some((n, axis) => n !== here[axis]);
  rows[3].blur();
  document.body.style.paddingTop = "9000px";
  said.scrollsElsewhere = press(document.body, "PageDown");
  document.body.style.paddingTop = "";
  document.body.setAttribute("data-said", JSON.stringify(said));
})();
</script>
"""


def browse(path: Path, *options: str) -> str:
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine")
    command = [
        CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
        "--disable-background-networking", "--disable-component-update", "--disable-sync",
        f"--user-data-dir={path.parent / 'profile'}", "--window-size=1300,1400", "--virtual-time-budget=90000",
        *options, path.as_uri(),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    return done.stdout


def test_slider_planes_keys_overlay_and_tables_in_a_browser(page: str, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    # --dump-dom draws no frames: what waits for the next one would wait for ever
    frames = "<script>window.requestAnimationFrame = (f) => setTimeout(f, 1);</script>"
    text = page.replace("<head>", "<head>" + frames).replace("</body>", STEPS + "</body>")
    path.write_text(text, encoding="utf-8")
    dom = browse(path, "--dump-dom")
    found = re.search(r'data-said="(.*?)"', dom)
    assert found, dom[-2000:]
    said = json.loads(found.group(1).replace("&quot;", '"'))
    data = data_of(page)
    assert said["ready"]
    assert said["overlay"] == "predicted-error"
    # in print there are no controls to say it
    assert said["caption"] == "fixed green, moving magenta, after; window: lung"
    assert said["bar"].startswith("predicted error 0")
    assert (said["outlined"], said["outlinedAfter"]) == (True, False)
    assert said["sliderMoves"] == 5
    assert said["onlyAxialChanged"] == [True, False, False]
    assert said["pageDown"] == 4
    assert min(said["outlines"]) > 20
    assert said["noErrorHidesNoLung"]
    assert said["withoutOutlines"] == [0, 0]
    assert said["base"] == "fixed"
    assert said["overlayAfterO"] == "displacement"
    assert said["window"] == 1
    assert said["flipped"] == "warped"
    assert said["clicked"] == [10, 20]
    assert said["alone"]
    assert said["beside"] == [False, True, True, True]
    assert said["twinClicked"] == [30, 40]
    assert said["lines"][0] == said["lines"][1]
    assert said["aloneAgain"]
    place = np.asarray(data["origin"]) + np.asarray(said["wentTo"]) * data["spacing"]
    assert np.abs(place - said["row"]).max() <= data["spacing"] / 2 + 0.01
    assert re.search(r"displacement [\d.]+ mm", said["readout"])
    assert said["sorted"]
    assert said["overflow"] <= 0
    assert said["saturated"] == ["folded (≤ 0)", "≤ 0.33", "0.0 mm", "≥ 10.0 mm"]
    assert said["active"] == 1
    assert said["leaves"]
    assert said["sliderLetsLettersThrough"]
    assert said["sliderKeepsArrows"]
    assert said["enterGoes"]
    assert said["scrollsElsewhere"]


def test_the_checks_are_read_on_a_phone(page: str, tmp_path: Path) -> None:
    """No word is broken for want of room, and nothing is cut off."""
    tell = (
        "<script>const checks = document.querySelector('#checks'), landmarks = document.querySelector('#landmarks');"
        "document.body.dataset.narrow = [innerWidth, document.documentElement.scrollWidth, checks.scrollWidth, checks.clientWidth,"
        "checks.tBodies[0].rows[0].cells[0].clientWidth, landmarks.scrollWidth, landmarks.clientWidth]</script></body>"
    )
    path = tmp_path / "report.html"
    path.write_text(page.replace("</body>", tell), encoding="utf-8")
    dom = browse(path, "--dump-dom", "--window-size=500,900")
    found = re.search(r'data-narrow="([\d,]+)"', dom)
    assert found
    window, whole, checks, seen, first, landmarks, seen_too = map(int, found.group(1).split(","))
    assert whole <= window <= 520
    assert checks <= seen
    assert first > 300
    assert landmarks <= seen_too


def test_no_error_hides_no_lung(page: str) -> None:
    """The colour of an error of zero is black: it fades there, and no other does."""
    overlays = {overlay["name"]: overlay for overlay in data_of(page)["overlays"]}
    assert 0 < overlays["predicted-error"]["fades"] <= 0.5
    assert not any("fades" in overlays[name] for name in ("displacement", "jacobian"))


def test_it_prints(page: str, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text(page, encoding="utf-8")
    browse(path, f"--print-to-pdf={tmp_path / 'report.pdf'}", "--no-pdf-header-footer")
    pdf = (tmp_path / "report.pdf").read_bytes()
    assert pdf.startswith(b"%PDF")
    pages = len(re.findall(rb"/Type\s*/Page\b", pdf))
    assert pages >= 2
    # the three planes beside each other under the verdict, and not each on a page of its own as on a narrow screen
    rows = page.count("<tr")
    assert pages <= 3 + rows // 30, pages


# ------------------------------------------------------------------ many results


def test_index_of_results(report: Report, tmp_path: Path) -> None:
    for name in ("a b", "c"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "quality.json").write_text(json.dumps(report.assessment.as_dict()))
    write_report(report, tmp_path / "a b" / "report.html")
    text = write_index(tmp_path).read_text()
    assert 'href="a%20b/report.html"' in text
    assert text.count('class="verdict fail"') == 2
    assert "2 results, 2 fail" in text


def test_the_index_fits_on_a_small_laptop(report: Report, tmp_path: Path) -> None:
    """With a long name too: nothing is cut off, and names keep their words."""
    for name in ("short", "long" * 50):
        (tmp_path / name).mkdir()
        (tmp_path / name / "quality.json").write_text(json.dumps(report.assessment.as_dict()))
    tell = (
        "<script>document.body.dataset.wide = [innerWidth, document.documentElement.scrollWidth, "
        "document.querySelector('#results td').clientWidth]</script></body>"
    )
    page = tmp_path / "index-1024.html"
    page.write_text(write_index(tmp_path).read_text().replace("</body>", tell))
    dom = browse(page, "--dump-dom", "--window-size=1024,768")
    found = re.search(r'data-wide="(\d+),(\d+),(\d+)"', dom)
    assert found
    window, whole, first = map(int, found.groups())
    assert whole <= window == 1024
    assert first > 180


def test_what_is_damaged_or_not_judged_has_its_row(report: Report, tmp_path: Path) -> None:
    """One bad result hides neither itself nor the others."""
    written = json.dumps(report.assessment.as_dict())
    for name, text in (("a", written), ("b", written[:99]), ("c", '{"verdict": "fine"}')):
        (tmp_path / name).mkdir()
        (tmp_path / name / "quality.json").write_text(text)
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "transform.h5").touch()
    text = write_index(tmp_path).read_text()
    assert "4 results, 1 fail, 3 not computed" in text
    assert text.count("quality.json is damaged") == 2
    assert text.count("Not judged: run `lungmorph report` on it.") == 1
    # by how much they need a person
    assert text.count('fail" data-value="0"') == 1
    assert text.count('not-computed" data-value="1"') == 3


def test_what_is_no_number_is_no_figure_of_the_index(report: Report, tmp_path: Path) -> None:
    found = report.assessment.as_dict()
    for name, value in (
        ("a", float("nan")),
        ("b", 10**400),
        (os.fsdecode(b"c\xe4"), 1.5),
        ("d", 2001.7),
    ):
        found["predicted"]["mean_mm"] = value
        (tmp_path / name).mkdir()
        (tmp_path / name / "quality.json").write_text(json.dumps(found))
        (tmp_path / name / "report.html").touch()
    text = write_index(tmp_path).read_text()
    assert "4 results" in text
    assert 'data-value="2001.7">2002<' in text
    assert 'data-value="1.5"' in text
    assert 'data-value="nan"' not in text
    assert 'href="c%E4/report.html"' in text


def test_a_way_back_that_knows_no_place_has_no_figure(report: Report) -> None:
    """As where the scans do not overlap, or a field does not cover the lung."""
    nowhere = {"mean": None, "sd": None, "p95": None, "max": None, "counted_percent": 0.0}
    figures = {**report.assessment.figures, "inverse_consistency_mm": nowhere}
    figures["folding"] = {**figures["folding"], "min": None, "max": None}
    text = render(replace(report, assessment=replace(report.assessment, figures=figures)))
    assert "there and back" not in text
    assert "Jacobian ? to ?" in text


def test_index_of_nothing(tmp_path: Path) -> None:
    with pytest.raises(Exception, match=r"expected results with quality.json"):
        write_index(tmp_path)
