"""The operator's commands: build, plan, deploy, verify, rotate, replay, resync, backtest and release."""
