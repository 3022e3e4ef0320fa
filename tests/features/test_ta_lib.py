"""What comes along with TA-Lib."""

import subprocess
import sys

IMPORT = "import sys, livebot.features.ta_lib as ta_lib; print('pandas' in sys.modules, 'polars' in sys.modules)"


def said(script: str) -> list[str]:
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    return done.stdout.split()


def test_it_comes_alone():
    assert said(IMPORT) == ["False", "False"]


def test_pandas_can_be_imported_afterwards_and_before():
    assert said(f"{IMPORT}; import pandas; print(pandas.Series([1]).sum())")[2:] == ["1"]
    assert said(f"import pandas; {IMPORT}")[0] == "True"
