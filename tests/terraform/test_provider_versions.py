"""Compare the root with the provider's upgrade guide for version 6, of which only version 5.100 was run.

registry.terraform.io/providers/hashicorp/aws/latest/docs/guides/version-6-upgrade
"""

from __future__ import annotations

import re

from ir_operator.project import PROJECT_ROOT

CHANGED = [
    "api_gateway_account",
    "api_gateway_deployment",
    "accessanalyzer_archive_rule",
    "alb_target_group",
    "ami",
    "appflow_connector_profile",
    "appflow_flow",
    "batch_compute_environment",
    "batch_job_queue",
    "bedrock_model_invocation_logging_configuration",
    "cloudformation_stack_set_instance",
    "cloudfront_key_value_store",
    "cloudfront_response_headers_policy",
    "cloudtrail_event_data_store",
    "cognito_user_in_group",
    "config_aggregate_authorization",
    "cur_report_definition",
    "db_instance",
    "dms_endpoint",
    "dx_gateway_association",
    "dx_hosted_connection",
    "ec2_spot_instance_fleet",
    "ecs_task_definition",
    "ecs_task_execution",
    "eip",
    "eks_addon",
    "elasticache_cluster",
    "elasticache_replication_group",
    "elasticache_user",
    "elasticache_user_group",
    "elbv2_listener_rule",
    "evidently_feature",
    "flow_log",
    "globalaccelerator_accelerator",
    "guardduty_detector",
    "guardduty_organization_configuration",
    "identitystore_group",
    "identitystore_user",
    "imagebuilder_container_recipe",
    "imagebuilder_image_recipe",
    "instance",
    "kinesis_analytics_application",
    "kms_secret",
    "launch_template",
    "lb_listener",
    "lb_target_group",
    "media_store_container",
    "media_store_container_policy",
    "mq_broker",
    "networkmanager_core_network",
    "opensearch_domain",
    "opensearchserverless_security_config",
    "paymentcryptography_key",
    "quicksight_data_set",
    "redshift_cluster",
    "redshift_service_account",
    "region",
    "rekognition_stream_processor",
    "resiliencehub_resiliency_policy",
    "s3_bucket",
    "sagemaker_image_version",
    "sagemaker_notebook_instance",
    "service_discovery_service",
    "servicequotas_template",
    "servicequotas_templates",
    "spot_instance_request",
    "ssm_association",
    "ssmincidents_replication_set",
    "verifiedpermissions_schema",
    "vpc_endpoint_service",
    "vpc_peering_connection",
    "wafv2_web_acl",
]
"""The resources and data sources that the guide names, without `aws_`. It also removes the services below."""

REMOVED_SERVICES = ("opsworks_", "simpledb_", "worklink_", "elastictranscoder_")

REMOVED_ARGUMENTS = {
    "aws_api_gateway_account": ["reset_on_delete"],
    "aws_api_gateway_deployment": ["stage_name", "stage_description", "canary_settings", "invoke_url", "execution_arn"],
}

SOURCES = "\n".join(file.read_text("utf-8") for file in sorted((PROJECT_ROOT / "terraform").rglob("*.tf")))
BLOCKS = re.findall(r'^(?:resource|data) "aws_(\w+)" "\w+" \{(.*?)^\}', SOURCES, re.MULTILINE | re.DOTALL)


def test_given_the_upgrade_guide_when_compared_then_the_root_uses_only_the_changed_resources_that_the_page_lists():
    used = {kind for kind, _ in BLOCKS}
    page = (PROJECT_ROOT / "docs" / "operations.md").read_text("utf-8")

    assert len(used) > 35
    changed = {f"aws_{kind}" for kind in used if kind in CHANGED or kind.startswith(REMOVED_SERVICES)}
    assert changed == set(REMOVED_ARGUMENTS)
    assert all(f"| `{name}` |" in page for name in changed)
    (unchanged,) = re.findall(r"types that the guide does not change \|\n(.*?)\n\n", page, re.DOTALL)
    for name in used - {name.removeprefix("aws_") for name in changed}:
        short = re.sub(r"^(?:api_gateway|cloudwatch)_", "", name)
        assert f"`aws_{name}`" in unchanged or f"`{short}`" in unchanged, name


def test_given_the_changed_resources_when_read_then_the_root_uses_no_removed_argument():
    for kind, body in BLOCKS:
        for argument in REMOVED_ARGUMENTS.get(f"aws_{kind}", []):
            assert not re.search(rf"^\s*{argument}\b", body, re.MULTILINE), (kind, argument)
    for kind, arguments in REMOVED_ARGUMENTS.items():
        assert not re.search(rf"{kind}\.\w+(?:\[\d+\])?\.(?:{'|'.join(arguments)})\b", SOURCES), kind


def test_given_the_account_when_destroyed_then_terraform_refuses_because_version_6_would_reset_it():
    (account,) = [body for kind, body in BLOCKS if kind == "api_gateway_account"]

    assert "prevent_destroy = true" in account
