# What the workflow may do in IAM, and to whom it may do nothing.

locals {
  own_roles = concat(values(local.function_names), ["${var.name_prefix}-state-machine", "${var.name_prefix}-event-rules", "${var.name_prefix}-api-logs"])

  # The system never contains itself, whatever it is told.
  protected_principals = concat(
    var.protected_principals,
    [for role in local.own_roles : "arn:${local.partition}:iam::${local.account}:role/${role}"],
  )

  users = "arn:${local.partition}:iam::${local.account}:user/*"
  roles = "arn:${local.partition}:iam::${local.account}:role/*"

  only_the_deny_policy = { ArnEquals = { "iam:PolicyARN" = local.arns.deny_policy } }

  containment_statements = concat(
    [
      {
        Sid    = "ReadUsers"
        Effect = "Allow"
        Action = [
          "iam:GetAccessKeyLastUsed",
          "iam:GetUser",
          "iam:ListAccessKeys",
          "iam:ListAttachedUserPolicies",
          "iam:ListUserTags",
        ]
        Resource = local.users
      },
      {
        Sid      = "ReadRoles"
        Effect   = "Allow"
        Action   = ["iam:GetRole", "iam:ListAttachedRolePolicies", "iam:ListRoleTags"]
        Resource = local.roles
      },
      # Undoing a containment stays possible when the mode is changed while one is in force.
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
        Sid    = "NeverTouchProtectedPrincipals"
        Effect = "Deny"
        Action = [
          "iam:AttachRolePolicy",
          "iam:AttachUserPolicy",
          "iam:DeleteAccessKey",
          "iam:DetachRolePolicy",
          "iam:DetachUserPolicy",
          "iam:UpdateAccessKey",
        ]
        Resource = local.protected_principals
      },
    ],
  )
}
