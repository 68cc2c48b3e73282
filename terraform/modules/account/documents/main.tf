# The names, policies and tags of an account. modules/account creates them; modules/organization puts the same ones into its
# template.

locals {
  partition     = split(":", var.workflow_role_arn)[1]
  hub           = split(":", var.workflow_role_arn)[4]
  workflow_role = reverse(split("/", var.workflow_role_arn))[0]

  role_name = "${var.name_prefix}-containment"

  # The role never changes itself or the other roles of ir-router, even if an event names them.
  own_role_arns = [
    for role in distinct(var.own_roles) : "arn:${local.partition}:iam::${var.account}:role/${role}"
  ]

  changes_of_principals = [
    "iam:AttachRolePolicy",
    "iam:AttachUserPolicy",
    "iam:DeleteAccessKey",
    "iam:DetachRolePolicy",
    "iam:DetachUserPolicy",
    "iam:UpdateAccessKey",
  ]

  # AWS manages this policy, so no principal of the account can change its document.
  deny_policy_arn = "arn:${local.partition}:iam::aws:policy/AWSDenyAll"

  # Versions before 0.2.0 attached a policy of their own.
  earlier_deny_policy_arn = "arn:${local.partition}:iam::${var.account}:policy/${var.name_prefix}-containment-deny"

  users = "arn:${local.partition}:iam::${var.account}:user/*"
  roles = "arn:${local.partition}:iam::${var.account}:role/*"

  containment_statements = concat(
    [
      {
        Sid    = "ReadUsers"
        Effect = "Allow"
        Action = [
          "iam:GetAccessKeyLastUsed",
          "iam:GetLoginProfile",
          "iam:GetUser",
          "iam:ListAccessKeys",
          "iam:ListAttachedUserPolicies",
          "iam:ListMFADevices",
          "iam:ListServiceSpecificCredentials",
          "iam:ListSigningCertificates",
          "iam:ListSSHPublicKeys",
          "iam:ListUserPolicies",
          "iam:ListUserTags",
        ]
        Resource = local.users
      },
      # The dates of the policies that are attached to a contained principal.
      {
        Sid      = "ReadPolicyDates"
        Effect   = "Allow"
        Action   = ["iam:GetPolicy"]
        Resource = "arn:${local.partition}:iam::${var.account}:policy/*"
      },
      {
        Sid      = "ReadRoles"
        Effect   = "Allow"
        Action   = ["iam:GetRole", "iam:ListAttachedRolePolicies", "iam:ListInstanceProfilesForRole", "iam:ListRolePolicies", "iam:ListRoleTags"]
        Resource = local.roles
      },
      # The hourly verification of members: a role of an earlier version lacks permissions.
      {
        Sid      = "ReadOwnPermissions"
        Effect   = "Allow"
        Action   = ["iam:GetRolePolicy"]
        Resource = "arn:${local.partition}:iam::${var.account}:role/${local.role_name}"
      },
      # To find entries of the allowlist with a * that match no principal, and principals by their unique id. IAM accepts no resource for these actions.
      {
        Sid      = "ListPrincipals"
        Effect   = "Allow"
        Action   = ["iam:ListRoles", "iam:ListUsers"]
        Resource = "*"
      },
      # The hourly verification of members. EventBridge accepts no resource for these actions.
      {
        Sid      = "ReadForwardingRules"
        Effect   = "Allow"
        Action   = ["events:ListRuleNamesByTarget", "events:ListRules"]
        Resource = "*"
      },
      {
        Sid      = "ReadForwardingFailures"
        Effect   = "Allow"
        Action   = ["sqs:GetQueueAttributes", "sqs:GetQueueUrl"]
        Resource = "arn:${local.partition}:sqs:*:${var.account}:${var.name_prefix}-forwarding-failures"
      },
      # The calls of contained credentials. The action has no resource type that a policy can name.
      {
        Sid      = "ReadActivity"
        Effect   = "Allow"
        Action   = ["cloudtrail:LookupEvents"]
        Resource = "*"
      },
      # If the mode changes while a containment is in place, the workflow must still be able to restore.
      {
        Sid      = "RestoreKeys"
        Effect   = "Allow"
        Action   = ["iam:UpdateAccessKey"]
        Resource = local.users
      },
    ],
    [for kind, principals in { User = local.users, Role = local.roles } : {
      Sid                           = "LiftDenyPolicyFrom${kind}"
      Effect                        = "Allow"
      Action                        = ["iam:Detach${kind}Policy"]
      Resource                      = principals
      Condition                     = { ArnEquals = { "iam:PolicyARN" = [local.deny_policy_arn, local.earlier_deny_policy_arn] } }
    }],
    [for kind, principals in { User = local.users, Role = local.roles } : {
      Sid                           = "AttachDenyPolicyTo${kind}"
      Effect                        = "Allow"
      Action                        = ["iam:Attach${kind}Policy"]
      Resource                      = principals
      Condition                     = { ArnEquals = { "iam:PolicyARN" = local.deny_policy_arn } }
    } if var.containment_mode == "enforce"],
    [for statement in [{
      Sid      = "DeleteKeys"
      Effect   = "Allow"
      Action   = ["iam:DeleteAccessKey"]
      Resource = local.users
    }] : statement if var.containment_mode == "enforce"],
    [
      {
        Sid      = "NeverTouchOwnRoles"
        Effect   = "Deny"
        Action   = local.changes_of_principals
        Resource = local.own_role_arns
      },
    ],
  )

  trust_policy = {
    Version = "2012-10-17"
    Statement = [{
      Effect = "Allow"
      # A role as the principal would be stored by its unique id, which changes if the role is created again.
      Principal = { AWS = "arn:${local.partition}:iam::${local.hub}:root" }
      Action    = "sts:AssumeRole"
      Condition = merge(
        { ArnEquals = { "aws:PrincipalArn" = var.workflow_role_arn } },
        { for operator in ["StringEquals"] : operator => { "aws:PrincipalOrgID" = var.organization_id } if var.organization_id != null },
      )
    }]
  }
}

output "containment_role" {
  description = "The role that the hub assumes: name, description, trust policy, permissions and tags."
  value = {
    name        = local.role_name
    description = "ir-router: reads and contains users and roles of this account, for ${local.workflow_role}"
    trust       = local.trust_policy
    policy      = { Version = "2012-10-17", Statement = local.containment_statements }

    # The hub changes a principal only if this mode and its own are enforce (workflow/modes.py). It verifies the rules of
    # these regions every hour (workflow/member_checks.py).
    tags = merge(
      { ir-router-mode = var.containment_mode },
      { for key in ["ir-router-regions"] : key => join(" ", sort(var.watched_regions)) if var.detections_bus_arn != null },
    )
  }
}

output "forwarding_role" {
  description = "The role of the forwarding rules: description, trust policy and permissions."
  value = {
    description = "ir-router: forwards security events to the account ${local.hub}"

    trust = {
      Version = "2012-10-17"
      Statement = [{
        Effect    = "Allow"
        Principal = { Service = "events.amazonaws.com" }
        Action    = "sts:AssumeRole"
        Condition = { StringEquals = { "aws:SourceAccount" = var.account } }
      }]
    }

    policy = {
      Version = "2012-10-17"
      Statement = [{
        Sid      = "ForwardToHub"
        Effect   = "Allow"
        Action   = ["events:PutEvents"]
        Resource = var.detections_bus_arn
      }]
    }
  }
}

output "protection" {
  description = "The policies for protected principals: name, description, and the statement without its resources."
  value = {
    name        = "${var.name_prefix}-protected"
    description = "ir-router: principals that it never changes"
    statement = {
      Sid    = "NeverTouchProtectedPrincipals"
      Effect = "Deny"
      Action = local.changes_of_principals
    }
  }
}

output "own_role_arns" {
  description = "ARNs of the roles of ir-router in the account."
  value       = local.own_role_arns
}
