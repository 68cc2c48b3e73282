"""D2: the webhook API is throttled, validated, monitored, and reveals nothing."""

from __future__ import annotations

import json
import re

from tests.terraform.root import Plan

# Fields that could contain message text, a signature or other user input.
TELLING = ("body", "header", "querystring", "authorizer", "requestOverride", "stageVariables", "error.message")


def test_given_the_stage_when_planned_then_it_takes_100_requests_a_second_and_bursts_of_200(enforcing: Plan):
    (values,) = enforcing.resources("aws_api_gateway_method_settings").values()
    (settings,) = values["settings"]

    assert values["method_path"] == "*/*"
    assert (settings["throttling_rate_limit"], settings["throttling_burst_limit"]) == (100, 200)
    assert (settings["logging_level"], settings["data_trace_enabled"]) == ("OFF", False)


def test_given_a_json_body_when_it_comes_then_it_must_be_an_object_with_a_type(enforcing: Plan):
    (validator,) = enforcing.resources("aws_api_gateway_request_validator").values()
    (model,) = enforcing.resources("aws_api_gateway_model").values()
    method = enforcing.resources("aws_api_gateway_method")["aws_api_gateway_method.post_events"]

    assert validator["validate_request_body"] is True
    assert method["request_models"] == {"application/json": model["name"]}
    schema = json.loads(model["schema"])
    assert (schema["type"], schema["required"]) == ("object", ["type"])


def test_given_the_paths_when_planned_then_only_post_reaches_a_function(enforcing: Plan):
    methods = enforcing.resources("aws_api_gateway_method")
    integrations = enforcing.resources("aws_api_gateway_integration")

    assert {values["http_method"] for values in methods.values()} == {"POST", "OPTIONS"}
    assert {address: values["type"] for address, values in integrations.items()} == {
        "aws_api_gateway_integration.post_events": "AWS_PROXY",
        "aws_api_gateway_integration.options_events": "MOCK",
    }
    parts = {values["path_part"] for values in enforcing.resources("aws_api_gateway_resource").values()}
    assert parts == {"slack", "events"}


def test_given_a_browser_when_it_asks_for_cors_then_slacks_pages_alone_are_allowed(enforcing: Plan):
    (response,) = enforcing.resources("aws_api_gateway_integration_response").values()

    allowed = {name.rpartition("-Allow-")[2]: value for name, value in response["response_parameters"].items()}
    assert allowed == {
        "Headers": "'Content-Type,X-Slack-Request-Timestamp,X-Slack-Signature'",
        "Methods": "'OPTIONS,POST'",
        "Origin": "'https://slack.com'",
    }


def test_given_the_access_log_when_read_then_it_says_who_and_what_became_of_it_and_no_content(enforcing: Plan):
    (stage,) = enforcing.resources("aws_api_gateway_stage").values()
    (settings,) = stage["access_log_settings"]
    variables = set(re.findall(r"\$context\.([\w.]+)", settings["format"]))

    assert {"requestId", "status", "identity.sourceIp", "path"} <= variables
    assert [name for name in variables for word in TELLING if word.lower() in name.lower()] == []


def test_given_an_answer_of_the_gateway_itself_when_refused_then_it_says_its_status_and_no_more(enforcing: Plan):
    responses = {
        values["response_type"]: values for values in enforcing.resources("aws_api_gateway_gateway_response").values()
    }

    assert {"DEFAULT_4XX", "DEFAULT_5XX", "MISSING_AUTHENTICATION_TOKEN", "THROTTLED", "WAF_FILTERED"} <= set(responses)
    assert responses["MISSING_AUTHENTICATION_TOKEN"]["status_code"] == "404", "an unknown path is just not there"
    for kind, values in responses.items():
        (template,) = values["response_templates"].values()
        assert set(json.loads(template)) == {"message"}, kind
        assert "$context" not in template, kind
