"""The sub-commands that deploy and operate ir-router, with the operator's AWS credentials.

Start reading at `command`. `ir_router.ops` runs inside the deployment.
"""
