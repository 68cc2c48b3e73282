# The role with which the hub reads and contains the users and roles of this account, and the principals that it can
# never change.

data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}

locals {
  account   = data.aws_caller_identity.current.account_id
  partition = data.aws_partition.current.partition

  hub           = split(":", var.workflow_role_arn)[4]
  workflow_role = reverse(split("/", var.workflow_role_arn))[0]

  role_name       = "${var.name_prefix}-containment"
  forwarding_role = "${var.name_prefix}-forwarding"
  # The role never changes itself or the other roles of ir-router, even if an event names them.
  own_role_arns = [
    for role in distinct(concat(var.own_roles, [local.role_name], aws_iam_role.forwarding[*].name)) : "arn:${local.partition}:iam::${local.account}:role/${role}"
  ]

  # Exact ARNs for each entry. Later, a user or role whose name matches an entry with `*` is not protected: otherwise a user
  # who can create one could give it such a name. Names are unique in an account across all paths.
  principals_by_name = {
    for arn in flatten([data.aws_iam_users.all[*].arns, data.aws_iam_roles.all[*].arns]) :
    join("", regex("^(arn:[^:]+:iam::[0-9]+:(?:user|role)/)(?:.*/)?([^/]+)$", arn)) => arn
  }
  protected_patterns = {
    for entry in var.protected_principals :
    entry => "^${replace(replace(entry, "/([.+?()\\[\\]{}|^$])/", "\\$1"), "*", ".*")}$" if strcontains(entry, "*")
  }
  protected_entries = {
    for entry in var.protected_principals : entry => sort(distinct([
      for named, arn in local.principals_by_name : arn
      if entry == arn || entry == named || anytrue([
        for text in [arn, named] : can(regex(local.protected_patterns[entry], text)) if strcontains(entry, "*")
      ])
    ]))
  }
  # An exact entry that matches no principal stays: it protects the principal with this ARN as soon as it exists.
  protected_arns = distinct(flatten([
    for entry in var.protected_principals :
    length(local.protected_entries[entry]) > 0 || strcontains(entry, "*") ? local.protected_entries[entry] : [entry]
  ]))

  changes_of_principals = [
    "iam:AttachRolePolicy",
    "iam:AttachUserPolicy",
    "iam:DeleteAccessKey",
    "iam:DetachRolePolicy",
    "iam:DetachUserPolicy",
    "iam:UpdateAccessKey",
  ]

  # 25 ARNs of 200 characters fit into a managed policy (6,144 characters), and 8 policies below the quota of a role (10).
  protected_parts = { for index, arns in chunklist(local.protected_arns, 25) : tostring(index + 1) => arns }

  deny_policy_arn = "arn:${local.partition}:iam::${local.account}:policy/${var.name_prefix}-containment-deny"

  users = "arn:${local.partition}:iam::${local.account}:user/*"
  roles = "arn:${local.partition}:iam::${local.account}:role/*"

  only_the_deny_policy = { ArnEquals = { "iam:PolicyARN" = local.deny_policy_arn } }

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
      # Before the policy is attached: anyone who may write IAM policies can replace its document.
      {
        Sid      = "ReadDenyPolicy"
        Effect   = "Allow"
        Action   = ["iam:GetPolicyVersion"]
        Resource = local.deny_policy_arn
      },
      # The deny policy, and the dates of the policies that are attached to a contained principal.
      {
        Sid      = "ReadPolicyDates"
        Effect   = "Allow"
        Action   = ["iam:GetPolicy"]
        Resource = "arn:${local.partition}:iam::${local.account}:policy/*"
      },
      {
        Sid      = "ReadRoles"
        Effect   = "Allow"
        Action   = ["iam:GetRole", "iam:ListAttachedRolePolicies", "iam:ListInstanceProfilesForRole", "iam:ListRolePolicies", "iam:ListRoleTags"]
        Resource = local.roles
      },
      # To find entries of the allowlist with a * that match no principal. IAM accepts no resource for these actions.
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
        Resource = "arn:${local.partition}:sqs:*:${local.account}:${var.name_prefix}-forwarding-failures"
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
      Condition                     = local.only_the_deny_policy
    }],
    [for kind, principals in { User = local.users, Role = local.roles } : {
      Sid                           = "AttachDenyPolicyTo${kind}"
      Effect                        = "Allow"
      Action                        = ["iam:Attach${kind}Policy"]
      Resource                      = principals
      Condition                     = local.only_the_deny_policy
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
  containment_policy = jsonencode({ Version = "2012-10-17", Statement = local.containment_statements })

  trust_policy = jsonencode({
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
  })
}

# `-workflow` assumes this role with a session policy that leaves one principal to change (workflow/sessions.py).
resource "aws_iam_role" "containment" {
  name        = local.role_name
  description = "ir-router: reads and contains users and roles of this account, for ${local.workflow_role}"

  assume_role_policy = local.trust_policy

  # The hub changes a principal only if this mode and its own are enforce (workflow/modes.py). It verifies the rules of
  # these regions every hour (workflow/member_checks.py).
  tags = merge(
    { ir-router-mode = var.containment_mode },
    { for key in ["ir-router-regions"] : key => join(" ", sort(var.watched_regions)) if var.detections_bus_arn != null },
  )
}

resource "aws_iam_role_policy" "containment" {
  name   = "containment"
  role   = aws_iam_role.containment.name
  policy = local.containment_policy
}

# The rules of all regions of this account forward events with this role (modules/region).
resource "aws_iam_role" "forwarding" {
  count = var.detections_bus_arn == null ? 0 : 1

  name        = local.forwarding_role
  description = "ir-router: forwards security events to the account ${local.hub}"

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "events.amazonaws.com" }
      Action    = "sts:AssumeRole"
      Condition = { StringEquals = { "aws:SourceAccount" = local.account } }
    }]
  })
}

resource "aws_iam_role_policy" "forwarding" {
  count = length(aws_iam_role.forwarding)

  name = "forwarding"
  role = aws_iam_role.forwarding[0].name

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid      = "ForwardToHub"
      Effect   = "Allow"
      Action   = ["events:PutEvents"]
      Resource = var.detections_bus_arn
    }]
  })
}

# If attached to a principal, this policy denies every action of the principal and of its sessions. It is the only
# policy that the workflow can attach: permission to write or attach any policy would allow it to become administrator.
# Do not change the description: Terraform would replace the policy, and AWS refuses to delete a policy that is
# attached.
resource "aws_iam_policy" "containment_deny" {
  name        = "${var.name_prefix}-containment-deny"
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

data "aws_iam_users" "all" {
  count = length(var.protected_principals) > 0 ? 1 : 0
}

data "aws_iam_roles" "all" {
  count = length(var.protected_principals) > 0 ? 1 : 0
}

# Policies of their own, because a role has at most 10,240 characters of inline policies.
resource "aws_iam_policy" "protected" {
  for_each = local.protected_parts

  name        = "${var.name_prefix}-protected-${each.key}"
  description = "ir-router: principals that it never changes"

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid      = "NeverTouchProtectedPrincipals"
      Effect   = "Deny"
      Action   = local.changes_of_principals
      Resource = each.value
    }]
  })

  lifecycle {
    precondition {
      condition     = length(local.protected_arns) <= 200
      error_message = "protected_principals protects more than 200 users and roles of the account. Use narrower entries."
    }
  }
}

resource "aws_iam_role_policy_attachment" "protected" {
  for_each = local.protected_parts

  role       = aws_iam_role.containment.name
  policy_arn = aws_iam_policy.protected[each.key].arn
}

