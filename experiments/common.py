"""What `train` and `audit` share with the commands in `causal_iqa.cli`."""

from causal_iqa.cli.common import check_writable
from causal_iqa.cli.progress import stage as progress_bar
from causal_iqa.cli.running import reporting_user_errors

__all__ = ["check_writable", "progress_bar", "reporting_user_errors"]
