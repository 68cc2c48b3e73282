# The role with which the hub reads and contains the users and roles of this account, and the principals that it can
# never change.

data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}

locals {
  account   = data.aws_caller_identity.current.account_id
  partition = data.aws_partition.current.partition

  role_name       = "${var.name_prefix}-containment"
  forwarding_role = "${var.name_prefix}-forwarding"

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

  containment_policy = jsonencode(module.documents.containment_role.policy)
  trust_policy       = jsonencode(module.documents.containment_role.trust)

  # 25 ARNs of 200 characters fit into a managed policy (6,144 characters), and 8 policies below the quota of a role (10).
  protected_parts = { for index, arns in chunklist(local.protected_arns, 25) : tostring(index + 1) => arns }
}

module "documents" {
  source = "./documents"

  name_prefix        = var.name_prefix
  account            = local.account
  workflow_role_arn  = var.workflow_role_arn
  organization_id    = var.organization_id
  containment_mode   = var.containment_mode
  own_roles          = concat(var.own_roles, [local.role_name], [for name in [local.forwarding_role] : name if var.detections_bus_arn != null])
  detections_bus_arn = var.detections_bus_arn
  watched_regions    = var.watched_regions
}

# `-workflow` assumes this role with a session policy that leaves one principal to change (workflow/sessions.py).
resource "aws_iam_role" "containment" {
  name               = module.documents.containment_role.name
  description        = module.documents.containment_role.description
  assume_role_policy = local.trust_policy
  tags               = module.documents.containment_role.tags
}

resource "aws_iam_role_policy" "containment" {
  name   = "containment"
  role   = aws_iam_role.containment.name
  policy = local.containment_policy
}

# The rules of all regions of this account forward events with this role (modules/region).
resource "aws_iam_role" "forwarding" {
  count = var.detections_bus_arn == null ? 0 : 1

  name               = local.forwarding_role
  description        = module.documents.forwarding_role.description
  assume_role_policy = jsonencode(module.documents.forwarding_role.trust)
}

resource "aws_iam_role_policy" "forwarding" {
  count = length(aws_iam_role.forwarding)

  name   = "forwarding"
  role   = aws_iam_role.forwarding[0].name
  policy = jsonencode(module.documents.forwarding_role.policy)
}

# Versions before 0.2.0 created and attached this policy. It stays: principals that they contained have it until their release.
removed {
  from = aws_iam_policy.containment_deny

  lifecycle {
    destroy = false
  }
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

  name        = "${module.documents.protection.name}-${each.key}"
  description = module.documents.protection.description

  policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [merge(module.documents.protection.statement, { Resource = each.value })]
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

