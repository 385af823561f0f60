"""Query parameters of pages."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query

Limit = Annotated[int, Query(ge=1, le=200, description="items on a page")]
Cursor = Annotated[str | None, Query(max_length=40, description="`next` of the page before")]
Place = Annotated[int | None, Query(ge=1, le=2**53, description="`next` of the page before")]
