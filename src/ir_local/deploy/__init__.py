"""The person's side of operations: deploy, verify, replay, rotate. From a clone, with AWS credentials; not deployed.

Start reading at `__main__`. What runs inside the deployment is in `ir_router.ops`.
"""
