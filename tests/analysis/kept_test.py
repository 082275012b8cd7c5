"""findings.json: read back where it was made of the same table, settings and code, and passed over elsewhere."""

import dataclasses
import json

import numpy as np
import pytest

from causal_iqa import InputError
from causal_iqa.analysis import findings, kept, parts, rows
from tests.analysis import worlds


@pytest.fixture(scope="module")
def own():
    return rows.image_rows(worlds.CONFIG, worlds.COLUMNS, worlds.table(features=False), whole=False)


@pytest.fixture(scope="module")
def found(own):
    return findings._aligned(worlds.CONFIG, own, parts.Parts())[1]


def test_findings_come_back_without_images(found, tmp_path):
    table = worlds.table(features=False)
    assert kept.read(tmp_path, worlds.CONFIG, table) is None
    kept.write(tmp_path, worlds.CONFIG, table, found)
    again = kept.read(tmp_path, worlds.CONFIG, table)
    assert again is not None and again.to_json() == found.without_images().to_json()
    other = dict(table.columns, noise=table.columns["noise"] + np.float32(1e-3))
    assert kept.read(tmp_path, worlds.CONFIG, table._replace(columns=other)) is None, "another table"
    assert kept.read(tmp_path, dataclasses.replace(worlds.CONFIG, level=0.9), table) is None, "other settings"


def test_damage_is_said(found, tmp_path):
    table = worlds.table(features=False)
    kept.write(tmp_path, worlds.CONFIG, table, found)
    path = tmp_path / kept.FILE
    values = json.loads(path.read_text())
    path.write_text(path.read_text()[:-20])
    with pytest.raises(InputError, match=r"^run: \S*findings\.json is damaged or was changed"):
        kept.read(tmp_path, worlds.CONFIG, table)
    values["findings"].pop("families")
    path.write_text(json.dumps({"made_of": values["made_of"], "findings": values["findings"]}))
    with pytest.raises(InputError, match=r"findings\.json"):
        kept.read(tmp_path, worlds.CONFIG, table)


def test_findings_of_images_are_taken_from_those_of_the_study(found, own):
    again = kept.of_images(found, own)
    assert again is not None and set(again.alignments) == set(own.scores)
    assert {network for by in again.alignments.values() for network in by} == {"all"}
    fewer = dataclasses.replace(found, alignments={})
    assert kept.of_images(fewer, own) is None


def test_the_digest_depends_on_every_input():
    table = worlds.table()
    digests = {
        kept.made_of(worlds.CONFIG, table),
        kept.made_of(dataclasses.replace(worlds.CONFIG, seed=1), table),
        kept.made_of(worlds.CONFIG, table._replace(labels=1 - table.labels)),
        kept.made_of(worlds.CONFIG, table._replace(image_ids=table.image_ids[::-1])),
        kept.made_of(worlds.CONFIG, table._replace(vectors={})),
    }
    assert len(digests) == 5 and kept.made_of(worlds.CONFIG, worlds.table()) in digests
