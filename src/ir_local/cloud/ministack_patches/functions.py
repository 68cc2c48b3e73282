"""Lambda: errors by their Python names, the zip alone to import from, logs of the root logger, workers that end.

Sources: docs.aws.amazon.com/lambda/latest/dg/python-exceptions.html (error object), .../python-logging.html (format of
the root logger's lines), .../configuration-envvars.html (environment of the runtime).
"""

# ruff: noqa: SLF001 - a patch reaches into what it patches
from __future__ import annotations

from ir_local.cloud.ministack_patches.originals import module, replace_text, rewrite

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


def apply() -> None:
    """Change the worker of Python functions; raises EmulatorChangedError."""
    runtime = module("core.lambda_runtime")
    script: str = runtime._PYTHON_WORKER_SCRIPT
    script = replace_text(
        script,
        '"error": str(e), "trace": traceback.format_exc()}',
        '"error": str(e), "errorType": type(e).__name__, "trace": traceback.format_exc()}',
        "the worker's script",
    )
    # Lambda's runtime puts a handler on the root logger; without one, Python shows warnings only.
    before_import = "    _ms_install_invoke_depth()\n    try:"
    script = replace_text(script, before_import, ROOT_LOGGER + END_WITH_EMULATOR + before_import, "the worker's script")
    context = '_ms_ctx = _ms_msg.get("ctx") or {}\n'
    request_id = '        _root_handler.request_id = _ms_ctx.get("request_id", "")\n'
    script = replace_text(script, context, context + request_id, "the worker's script")
    runtime._PYTHON_WORKER_SCRIPT = script

    rewrite(
        runtime,
        "Worker._spawn",
        # Neither the emulator's packages nor its variables: what is not in the zip cannot be imported.
        ("[binary, worker_path]", '[binary, *(["-I", "-S"] if ext == ".py" else []), worker_path]'),
        ("spawn_env = {**os.environ, **env_vars}\n", f"spawn_env = {RUNTIME_ENVIRONMENT}\n"),
    )
    # An exception of the handler leaves Lambda's execution environment as it is: the next call is warm.
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
