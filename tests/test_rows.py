"""Rows of the service's tables: the dataclasses and the tables say the same."""

from dataclasses import fields

import pytest

from api.records import rows, tables

ROWS = {
    "person": rows.PersonRow,
    "token": rows.TokenRow,
    "join_code": rows.CodeRow,
    "ledger": rows.LedgerRow,
    "rig": rows.RigRow,
    "campaign": rows.CampaignRow,
    "experiment": rows.ExperimentRow,
    "event": rows.EventRow,
    "answer": rows.AnswerRow,
}


@pytest.mark.parametrize("name", ROWS)
def test_a_row_has_a_field_for_each_column_in_its_order(name: str) -> None:
    assert [field.name for field in fields(ROWS[name])] == [column.name for column in tables.tables.tables[name].columns]


def test_a_leased_row_is_an_experiments() -> None:
    assert [field.name for field in fields(rows.LeasedRow)] == [field.name for field in fields(rows.ExperimentRow)]
