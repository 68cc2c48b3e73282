# The template of a member's stack in one region. Its documents are those of modules/account and modules/region.

locals {
  account   = "$${AWS::AccountId}"
  partition = split(":", var.workflow_role_arn)[1]
  hub       = split(":", var.workflow_role_arn)[4]

  # StackSets ensures no order of the regions of a new account (StackSetOperationPreferences do not apply to automatic
  # deployments), and EventBridge refuses a target whose role does not exist. So each region has its own forwarding role.
  forwarding_role  = "${var.name_prefix}-forwarding"
  forwarding_roles = [for region in var.watched_regions : "${local.forwarding_role}-${region}"]

  # 25 ARNs of 200 characters fit into a managed policy (6,144 characters).
  protected_parts = { for index, arns in chunklist(distinct(var.protected_principals), 25) : tostring(index + 1) => [
    for arn in arns : replace(arn, "::*:", "::${local.account}:")
  ] }

  containment_role = module.account["enforce"].containment_role
  without_enforce  = module.account["dry_run"].containment_role.policy.Statement[*].Sid

  resources = merge(
    {
      # CloudFormation refuses a stack without resources, and the stack of the hub has no other one.
      Placeholder = { Type = "AWS::CloudFormation::WaitConditionHandle" }

      ContainmentRole = {
        Type      = "AWS::IAM::Role"
        Condition = "FirstRegion"
        Properties = {
          RoleName                 = local.containment_role.name
          Description              = local.containment_role.description
          AssumeRolePolicyDocument = local.containment_role.trust
          ManagedPolicyArns        = [for part in keys(local.protected_parts) : { Ref = "Protected${part}" }]
          Policies = [{
            PolicyName = "containment"
            PolicyDocument = {
              Version = local.containment_role.policy.Version
              Statement = [
                for statement in local.containment_role.policy.Statement : jsondecode(
                  contains(local.without_enforce, statement.Sid)
                  ? jsonencode(statement)
                  : jsonencode({ "Fn::If" = ["Enforce", statement, { Ref = "AWS::NoValue" }] })
                )
              ]
            }
          }]
          Tags = [
            for key, value in merge(local.containment_role.tags, { ir-router-mode = { Ref = "ContainmentMode" } }) : { Key = key, Value = value }
          ]
        }
      }

      ForwardingRole = {
        Type      = "AWS::IAM::Role"
        Condition = "Member"
        Properties = {
          RoleName                 = "${local.forwarding_role}-$${AWS::Region}"
          Description              = module.account["enforce"].forwarding_role.description
          AssumeRolePolicyDocument = module.account["enforce"].forwarding_role.trust
          Policies                 = [{ PolicyName = "forwarding", PolicyDocument = module.account["enforce"].forwarding_role.policy }]
        }
      }

      Failures = {
        Type      = "AWS::SQS::Queue"
        Condition = "Member"
        Properties = {
          QueueName              = module.region.queue.name
          MessageRetentionPeriod = module.region.queue.retention_seconds
          SqsManagedSseEnabled   = true
        }
      }

      FailuresPolicy = {
        Type       = "AWS::SQS::QueuePolicy"
        Condition  = "Member"
        Properties = { Queues = [{ Ref = "Failures" }], PolicyDocument = module.region.queue.policy }
      }
    },
    { for part, arns in local.protected_parts : "Protected${part}" => {
      Type      = "AWS::IAM::ManagedPolicy"
      Condition = "FirstRegion"
      Properties = {
        ManagedPolicyName = "${module.account["enforce"].protection.name}-${part}"
        Description       = module.account["enforce"].protection.description
        PolicyDocument    = { Version = "2012-10-17", Statement = [merge(module.account["enforce"].protection.statement, { Resource = arns })] }
      }
    } },
    { for id, rule in module.region.rules : "Rule${join("", [for word in split("_", id) : title(word)])}" => {
      Type      = "AWS::Events::Rule"
      Condition = "Member"
      Properties = {
        Name         = rule.name
        Description  = rule.description
        EventPattern = jsondecode(rule.pattern)
        State        = rule.state
        Targets = [{
          Id               = "hub"
          Arn              = { Ref = "Bus" }
          RoleArn          = { "Fn::GetAtt" = ["ForwardingRole", "Arn"] }
          DeadLetterConfig = { Arn = { "Fn::GetAtt" = ["Failures", "Arn"] } }
        }]
      }
    } },
  )

  # A string with a placeholder needs Fn::Sub.
  template = replace(
    jsonencode({
      AWSTemplateFormatVersion = "2010-09-09"
      Description              = "ir-router: lets the account ${local.hub} contain users and roles of this account, and forwards security events to it"

      Parameters = {
        # A parameter, because each rule names it and the template has a limit of 51,200 bytes.
        Bus             = { Type = "String", Default = var.detections_bus_arn }
        ContainmentMode = { Type = "String", AllowedValues = ["dry_run", "enforce", "off"] }
      }

      Conditions = {
        Enforce = { "Fn::Equals" = [{ Ref = "ContainmentMode" }, "enforce"] }
        # The root of ir-router creates the role of the hub.
        Member = { "Fn::Not" = [{ "Fn::Equals" = [{ Ref = "AWS::AccountId" }, local.hub] }] }
        # IAM is the same in all regions.
        FirstRegion = { "Fn::And" = [{ Condition = "Member" }, { "Fn::Equals" = [{ Ref = "AWS::Region" }, "us-east-1"] }] }
      }

      Resources = local.resources
    }),
    "/(\"[^\"]*\\$\\{AWS::[^\"]*\")/", "{\"Fn::Sub\":$1}",
  )
}

# The permissions to contain are those that only `enforce` has.
module "account" {
  source   = "../account/documents"
  for_each = toset(["dry_run", "enforce"])

  name_prefix        = var.name_prefix
  account            = local.account
  workflow_role_arn  = var.workflow_role_arn
  organization_id    = var.organization_id
  containment_mode   = each.value
  own_roles          = concat(["${var.name_prefix}-containment"], sort(local.forwarding_roles))
  detections_bus_arn = var.detections_bus_arn
  watched_regions    = var.watched_regions
}

module "region" {
  source = "../region/documents"

  name_prefix = var.name_prefix
  account     = local.account
  region      = "$${AWS::Region}"
  bus_arn     = var.detections_bus_arn
  severities  = var.severities
  detections  = var.detections
}
