"""Build the zip that the functions run, either for Lambda or for the local cloud.

Start reading at `package.build_package`. The command is `ir-router build`.
"""
