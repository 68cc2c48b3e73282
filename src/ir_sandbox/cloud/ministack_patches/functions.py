"""Lambda: errors with their Python names, imports only from the zip, the root logger's output, workers that end.

A worker that does not become ready is ended and started again, as Lambda does with an execution environment whose
initialisation times out (docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html).

Sources: docs.aws.amazon.com/lambda/latest/dg/python-exceptions.html (error object), .../python-logging.html (format of
the root logger's lines), .../configuration-envvars.html (environment of the runtime).
"""

# ruff: noqa: SLF001 - a patch uses private members of the patched module
from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any

from ir_sandbox.cloud.ministack_patches.originals import module, replace_text, rewrite

ROOT_LOGGER = """\
    import logging as _logging
    class _LambdaHandler(_logging.StreamHandler):
        request_id = ""
        def format(self, record):
            record.request_id = self.request_id
            return super().format(record)
    class _LambdaFormatter(_logging.Formatter):
        converter = time.gmtime
        default_time_format = "%Y-%m-%dT%H:%M:%S"
        default_msec_format = "%s.%03dZ"
    _root_handler = _LambdaHandler(sys.stderr)
    _root_handler.setFormatter(_LambdaFormatter("[%(levelname)s]\\t%(asctime)s\\t%(request_id)s\\t%(message)s"))
    _logging.getLogger().addHandler(_root_handler)
"""

END_WITH_EMULATOR = """\
    import threading as _threading
    _emulator = os.getppid()
    def _end_with_emulator():
        while os.getppid() == _emulator:
            time.sleep(1)
        os._exit(1)
    _threading.Thread(target=_end_with_emulator, daemon=True).start()
"""

RUNTIME_ENVIRONMENT = """\
{
            **{name: os.environ[name] for name in ("PATH", "TMPDIR") if name in os.environ},
            "LANG": "en_US.UTF-8",
            "TZ": ":UTC",
            "AWS_EXECUTION_ENV": f"AWS_Lambda_{runtime}",
            "AWS_LAMBDA_LOG_GROUP_NAME": "/aws/lambda/" + self.func_name,
            "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
            **env_vars,
        }"""

INIT_SECONDS = 60.0
"""The time limit for a worker's start. Lambda's limit is 10 s, but a busy machine is slower than Lambda."""

STARTS = 3

logger = logging.getLogger(__name__)


def apply() -> None:
    """Patch the worker of Python functions; raises EmulatorChangedError."""
    runtime = module("core.lambda_runtime")
    script: str = runtime._PYTHON_WORKER_SCRIPT
    script = replace_text(
        script,
        '"error": str(e), "trace": traceback.format_exc()}',
        '"error": str(e), "errorType": type(e).__name__, "trace": traceback.format_exc()}',
        "the worker's script",
    )
    # Lambda's runtime adds a handler to the root logger; without it, Python prints only warnings.
    before_import = "    _ms_install_invoke_depth()\n    try:"
    script = replace_text(script, before_import, ROOT_LOGGER + END_WITH_EMULATOR + before_import, "the worker's script")
    context = '_ms_ctx = _ms_msg.get("ctx") or {}\n'
    request_id = '        _root_handler.request_id = _ms_ctx.get("request_id", "")\n'
    script = replace_text(script, context, context + request_id, "the worker's script")
    runtime._PYTHON_WORKER_SCRIPT = script

    rewrite(
        runtime,
        "Worker._spawn",
        # Without the emulator's packages and variables, the function can import only from its zip.
        ("[binary, worker_path]", '[binary, *(["-I", "-S"] if ext == ".py" else []), worker_path]'),
        ("spawn_env = {**os.environ, **env_vars}\n", f"spawn_env = {RUNTIME_ENVIRONMENT}\n"),
    )
    worker = runtime.Worker
    spawn_once = worker._spawn
    worker._spawn = lambda self: spawn_in_time(self, spawn_once)
    # After an exception in the handler, Lambda keeps the execution environment: the next call is warm.
    rewrite(
        runtime,
        "Worker.invoke",
        ('if response.get("status") == "error":', 'if response.get("status") == "error" and "trace" not in response:'),
    )
    rewrite(
        module("services.lambda_svc"),
        "_execute_function_warm",
        ('error_type = "Runtime.HandlerError"', 'error_type = result.get("errorType", "Runtime.HandlerError")'),
        (
            '"errorType": error_type,',
            '"errorType": error_type, "requestId": request_id, "stackTrace": result.get("trace", "").splitlines(),',
        ),
    )


def spawn_in_time(worker: Any, spawn_once: Callable[[Any], None]) -> None:
    """Start a worker's process; end it and start another one if it is not ready in time.

    The emulator reads the first line of the process without a timeout, and the line of a process that was started on
    a busy machine once never came.
    """
    for start in range(1, STARTS + 1):
        worker._proc = None
        late = threading.Event()
        timer = threading.Timer(INIT_SECONDS, end_late, (worker, late))
        timer.start()
        try:
            spawn_once(worker)
        except (RuntimeError, OSError):
            if not late.is_set() or start == STARTS:
                raise
            logger.warning("start %s of a process for %s took more than %s s", start, worker.func_name, INIT_SECONDS)
        else:
            return
        finally:
            timer.cancel()


def end_late(worker: Any, late: threading.Event) -> None:
    """End the process of a worker whose start takes too long, so that the reading of its first line ends."""
    late.set()
    if worker._proc is not None:
        worker._proc.kill()
