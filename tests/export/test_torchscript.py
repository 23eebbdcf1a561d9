"""Whether a file's TorchScript is ours does not depend on the order in which torch writes constants."""

import io
import zipfile

from spinconv.export.torchscript import code

CLASS = "class Model(Module):\n  __parameters__ = []\n{}  def forward(self) -> float:\n    return 1.\n"
A, B = "  a : Final[float] = 10.\n", "  b : Final[int] = 3\n"


def code_of(constants: str) -> dict[str, bytes]:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as members:
        members.writestr("model/code/model.py", CLASS.format(constants))
    return dict(code(archive.getvalue()))


def test_the_order_of_constants_is_none_of_its_matters() -> None:
    assert code_of(A + B) == code_of(B + A)


def test_their_values_are() -> None:
    assert code_of(A + B) != code_of(A + B.replace("3", "4"))
    assert code_of(A + B) != code_of(A)
