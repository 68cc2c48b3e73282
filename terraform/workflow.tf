# The containment workflow. It has a state for each box of the specification's diagram, and one function runs all tasks.

locals {
  state_machine_definition = templatefile("${path.module}/../state-machine.asl.json", {
    workflow_function_arn = local.function_arns.workflow
  })
}

resource "aws_sfn_state_machine" "response" {
  name     = local.names.state_machine
  role_arn = aws_iam_role.state_machine.arn

  # Marked as sensitive only so that a plan does not print all 1,600 lines.
  definition = sensitive(local.state_machine_definition)

  # Execution data contains task tokens and principals, so it is not logged. It is only in the encrypted execution history.
  logging_configuration {
    log_destination        = "${aws_cloudwatch_log_group.state_machine.arn}:*"
    include_execution_data = false
    level                  = "ALL"
  }

  # docs.aws.amazon.com/step-functions/latest/dg/encryption-at-rest.html
  encryption_configuration {
    type                              = "CUSTOMER_MANAGED_KMS_KEY"
    kms_key_id                        = local.workflow_key_arn
    kms_data_key_reuse_period_seconds = 900
  }

  dynamic "tracing_configuration" {
    for_each = var.xray_tracing ? [true] : []

    content {
      enabled = true
    }
  }

  # On creation, Step Functions checks that the role can write the logs.
  depends_on = [
    aws_iam_role_policy.state_machine,
    aws_iam_role_policy.state_machine_key,
    aws_cloudwatch_log_resource_policy.slack_notifications,
  ]
}

resource "aws_cloudwatch_log_group" "state_machine" {
  # The prefix of vended logs keeps their resource policy below the size limit of CloudWatch Logs.
  name              = "/aws/vendedlogs/states/${local.names.state_machine}"
  retention_in_days = var.log_retention_days
  kms_key_id        = local.key_arn
}
