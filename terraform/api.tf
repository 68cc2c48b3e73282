# The webhook endpoint for Slack: POST /slack/events. The function verifies the signature over the unmodified body.

resource "aws_api_gateway_rest_api" "slack" {
  name        = local.names.api
  description = "Receives events, commands and interactions from Slack for ir-router"

  endpoint_configuration {
    types = ["REGIONAL"]
  }

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_api_gateway_resource" "slack" {
  rest_api_id = aws_api_gateway_rest_api.slack.id
  parent_id   = aws_api_gateway_rest_api.slack.root_resource_id
  path_part   = "slack"
}

resource "aws_api_gateway_resource" "events" {
  rest_api_id = aws_api_gateway_rest_api.slack.id
  parent_id   = aws_api_gateway_resource.slack.id
  path_part   = "events"
}

# API Gateway validates JSON bodies only. Form bodies (commands, interactions) pass, because no model exists for their
# content type. The validator does not require the signature headers: API Gateway compares header names
# case-sensitively, and HTTP/2 sends them in lower case. The function refuses unsigned requests.
resource "aws_api_gateway_request_validator" "body" {
  rest_api_id           = aws_api_gateway_rest_api.slack.id
  name                  = "body"
  validate_request_body = true
}

resource "aws_api_gateway_model" "slack_event" {
  rest_api_id  = aws_api_gateway_rest_api.slack.id
  name         = "SlackEvent"
  description  = "Every JSON body that Slack sends is an object with a type (url_verification, event_callback, ...)"
  content_type = "application/json"

  schema = jsonencode({
    "$schema"  = "http://json-schema.org/draft-04/schema#"
    title      = "SlackEvent"
    type       = "object"
    required   = ["type"]
    properties = { type = { type = "string" } }
  })
}

resource "aws_api_gateway_method" "post_events" {
  rest_api_id          = aws_api_gateway_rest_api.slack.id
  resource_id          = aws_api_gateway_resource.events.id
  http_method          = "POST"
  authorization        = "NONE"
  request_validator_id = aws_api_gateway_request_validator.body.id
  request_models       = { "application/json" = aws_api_gateway_model.slack_event.name }
}

resource "aws_api_gateway_integration" "post_events" {
  rest_api_id             = aws_api_gateway_rest_api.slack.id
  resource_id             = aws_api_gateway_resource.events.id
  http_method             = aws_api_gateway_method.post_events.http_method
  type                    = "AWS_PROXY"
  integration_http_method = "POST"
  uri                     = aws_lambda_function.this["webhook"].invoke_arn
}

resource "aws_lambda_permission" "api" {
  statement_id  = "SlackWebhookApi"
  action        = "lambda:InvokeFunction"
  function_name = aws_lambda_function.this["webhook"].function_name
  principal     = "apigateway.amazonaws.com"
  source_arn    = "${aws_api_gateway_rest_api.slack.execution_arn}/*/POST/slack/events"
}

# CORS. Slack calls from its servers. Only browsers that show Slack pages need CORS.
resource "aws_api_gateway_method" "options_events" {
  rest_api_id   = aws_api_gateway_rest_api.slack.id
  resource_id   = aws_api_gateway_resource.events.id
  http_method   = "OPTIONS"
  authorization = "NONE"
}

resource "aws_api_gateway_integration" "options_events" {
  rest_api_id       = aws_api_gateway_rest_api.slack.id
  resource_id       = aws_api_gateway_resource.events.id
  http_method       = aws_api_gateway_method.options_events.http_method
  type              = "MOCK"
  request_templates = { "application/json" = jsonencode({ statusCode = 204 }) }

  lifecycle {
    # A mock has no method. Without this, the value that AWS fills in would replace the integration at each apply.
    ignore_changes = [integration_http_method]
  }
}

resource "aws_api_gateway_method_response" "options_events" {
  rest_api_id         = aws_api_gateway_rest_api.slack.id
  resource_id         = aws_api_gateway_resource.events.id
  http_method         = aws_api_gateway_method.options_events.http_method
  status_code         = "204"
  response_parameters = { for header in keys(local.cors_headers) : "method.response.header.${header}" => true }
}

resource "aws_api_gateway_integration_response" "options_events" {
  rest_api_id         = aws_api_gateway_rest_api.slack.id
  resource_id         = aws_api_gateway_resource.events.id
  http_method         = aws_api_gateway_method.options_events.http_method
  status_code         = aws_api_gateway_method_response.options_events.status_code
  response_parameters = { for header, value in local.cors_headers : "method.response.header.${header}" => "'${value}'" }

  depends_on = [aws_api_gateway_integration.options_events]
}

locals {
  stage_name       = "prod"
  access_log_group = "/aws/apigateway/${local.names.api}"

  cors_headers = {
    Access-Control-Allow-Headers = "Content-Type,X-Slack-Request-Timestamp,X-Slack-Signature"
    Access-Control-Allow-Methods = "OPTIONS,POST"
    Access-Control-Allow-Origin  = "https://slack.com"
  }

  # Responses of API Gateway itself contain only the status. An unknown path gets a 404 instead of the default 403
  # "Missing Authentication Token".
  gateway_responses = {
    ACCESS_DENIED                = { status = "403", message = "Forbidden" }
    BAD_REQUEST_BODY             = { status = "400", message = "Bad Request" }
    DEFAULT_4XX                  = { status = null, message = "Refused" }
    DEFAULT_5XX                  = { status = null, message = "Unavailable" }
    MISSING_AUTHENTICATION_TOKEN = { status = "404", message = "Not Found" }
    REQUEST_TOO_LARGE            = { status = "413", message = "Too Large" }
    RESOURCE_NOT_FOUND           = { status = "404", message = "Not Found" }
    THROTTLED                    = { status = "429", message = "Too Many Requests" }
    UNSUPPORTED_MEDIA_TYPE       = { status = "415", message = "Unsupported Media Type" }
    WAF_FILTERED                 = { status = "403", message = "Forbidden" }
    INTEGRATION_FAILURE          = { status = "503", message = "Unavailable" }
    INTEGRATION_TIMEOUT          = { status = "504", message = "Unavailable" }
  }
}

resource "aws_api_gateway_gateway_response" "this" {
  for_each = local.gateway_responses

  rest_api_id        = aws_api_gateway_rest_api.slack.id
  response_type      = each.key
  status_code        = each.value.status
  response_templates = { "application/json" = jsonencode({ message = each.value.message }) }
}

resource "aws_api_gateway_deployment" "slack" {
  rest_api_id = aws_api_gateway_rest_api.slack.id

  # A change to any of these values creates a new deployment. Use single attributes, not complete objects, because AWS
  # adds attributes of its own to objects.
  triggers = {
    content = sha256(jsonencode([
      aws_api_gateway_resource.events.id,
      aws_api_gateway_integration.post_events.uri,
      aws_api_gateway_method.post_events.request_models,
      aws_api_gateway_model.slack_event.schema,
      local.cors_headers,
      local.gateway_responses,
    ]))
  }

  lifecycle {
    create_before_destroy = true
  }

  depends_on = [
    aws_api_gateway_gateway_response.this,
    aws_api_gateway_integration.post_events,
    aws_api_gateway_integration_response.options_events,
    aws_api_gateway_method.post_events,
  ]
}

# Terraform shows the first line of a resource with the error of AWS.
resource "aws_api_gateway_stage" "prod" { # "CloudWatch Logs role ARN must be set": set manage_api_gateway_account = true, or api_access_logs = false
  rest_api_id   = aws_api_gateway_rest_api.slack.id
  deployment_id = aws_api_gateway_deployment.slack.id
  stage_name    = local.stage_name

  xray_tracing_enabled = var.xray_tracing

  # Log the sender, the request and the result of each call, without bodies and headers.
  dynamic "access_log_settings" {
    for_each = aws_cloudwatch_log_group.access

    content {
      destination_arn = access_log_settings.value.arn
      format = jsonencode({
        requestId         = "$context.requestId"
        requestTime       = "$context.requestTime"
        sourceIp          = "$context.identity.sourceIp"
        userAgent         = "$context.identity.userAgent"
        httpMethod        = "$context.httpMethod"
        path              = "$context.path"
        status            = "$context.status"
        responseLength    = "$context.responseLength"
        responseLatency   = "$context.responseLatency"
        integrationStatus = "$context.integrationStatus"
        errorType         = "$context.error.responseType"
        wafStatus         = "$context.wafResponseCode"
      })
    }
  }

  depends_on = [aws_api_gateway_account.logs]
}

resource "aws_api_gateway_method_settings" "all" {
  rest_api_id = aws_api_gateway_rest_api.slack.id
  stage_name  = aws_api_gateway_stage.prod.stage_name
  method_path = "*/*"

  settings {
    throttling_rate_limit  = 100
    throttling_burst_limit = 200
    # Execution logs would contain bodies and thus message text.
    logging_level      = "OFF"
    data_trace_enabled = false
  }
}

moved {
  from = aws_cloudwatch_log_group.access
  to   = aws_cloudwatch_log_group.access[0]
}

resource "aws_cloudwatch_log_group" "access" {
  count = var.api_access_logs ? 1 : 0

  name              = local.access_log_group
  retention_in_days = 7
  kms_key_id        = local.key_arn
}

# The role with which all APIs of this account and region write logs. Other APIs may use it, so Terraform never destroys
# it: version 5 of the provider would leave the setting without its role, and version 6 would reset the setting.
resource "aws_api_gateway_account" "logs" { # Other APIs may use the role. To keep it and go on, see "The role for API logs" in docs/operations.md
  count = var.manage_api_gateway_account ? 1 : 0

  cloudwatch_role_arn = aws_iam_role.api_logs[0].arn

  lifecycle {
    prevent_destroy = true
  }

  depends_on = [aws_iam_role_policy_attachment.api_logs]
}

resource "aws_iam_role" "api_logs" { # Other APIs may use the role. To keep it and go on, see "The role for API logs" in docs/operations.md
  count = var.manage_api_gateway_account ? 1 : 0

  name        = "${var.name_prefix}-api-logs"
  description = "Lets API Gateway write logs, for all APIs of this account and region"

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "apigateway.amazonaws.com" }
      # No condition: API Gateway sends neither aws:SourceAccount nor aws:SourceArn here
      # (github.com/prowler-cloud/prowler/issues/2810).
      Action = "sts:AssumeRole"
    }]
  })

  lifecycle {
    prevent_destroy = true
  }
}

resource "aws_iam_role_policy_attachment" "api_logs" {
  count = var.manage_api_gateway_account ? 1 : 0

  role       = aws_iam_role.api_logs[0].name
  policy_arn = "arn:${local.partition}:iam::aws:policy/service-role/AmazonAPIGatewayPushToCloudWatchLogs"

  lifecycle {
    prevent_destroy = true
  }
}

resource "aws_wafv2_web_acl_association" "api" {
  count = var.web_acl_arn == null ? 0 : 1

  resource_arn = aws_api_gateway_stage.prod.arn
  web_acl_arn  = var.web_acl_arn
}
