# The containment workflow: a state for each box of the specification's diagram, all served by one function.

resource "aws_sfn_state_machine" "response" {
  name     = local.names.state_machine
  role_arn = aws_iam_role.state_machine.arn

  definition = templatefile("${path.module}/../state-machine.asl.json", {
    workflow_function_arn = local.function_arns.workflow
  })

  # The executions' data holds task tokens and principals: it stays in the execution history, out of the logs.
  logging_configuration {
    log_destination        = "${aws_cloudwatch_log_group.state_machine.arn}:*"
    include_execution_data = false
    level                  = "ALL"
  }

  dynamic "tracing_configuration" {
    for_each = var.xray_tracing ? [true] : []

    content {
      enabled = true
    }
  }

  # Step Functions checks at creation that the role may write the logs.
  depends_on = [aws_iam_role_policy.state_machine]
}

resource "aws_cloudwatch_log_group" "state_machine" {
  # The prefix that vended logs share keeps their resource policy below CloudWatch Logs' size limit.
  name              = "/aws/vendedlogs/states/${local.names.state_machine}"
  retention_in_days = var.log_retention_days
  kms_key_id        = local.key_arn
}

# Attached to a principal it stops everything that principal does, sessions made from it included. It is the only policy
# that the workflow may attach: the right to write any policy would be the right to become administrator.
resource "aws_iam_policy" "containment_deny" {
  name        = local.names.deny_policy
  description = "Attached by ir-router to a contained principal: denies everything. Detach it only through the release task, which records who did."

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid      = "ContainedByIrRouter"
      Effect   = "Deny"
      Action   = "*"
      Resource = "*"
    }]
  })
}
