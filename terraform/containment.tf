# The containment role of this account (modules/account), and the lists that the workflow reads.

locals {
  own_roles = concat(
    values(local.function_names),
    [for role in ["api-logs", "containment", "event-rules", "state-machine"] : "${var.name_prefix}-${role}"],
  )

  containment_role_arn = module.account.containment_role_arn

  # In an organisation, the workflow assumes the role of the member to which a principal belongs.
  assumable_role_arn = (
    var.organization_id == null ? local.containment_role_arn : "arn:${local.partition}:iam::*:role/${var.name_prefix}-containment"
  )
  assumable_condition = {
    for operator in ["StringEquals"] : operator => { "aws:ResourceOrgID" = var.organization_id } if var.organization_id != null
  }

  # The lists do not fit into the environment of a function, so the workflow reads them from this row of the ledger.
  # The environment has its digest, so a change starts new processes, which read the new row.
  lists = {
    allowed_cidrs        = jsonencode(var.allowed_cidrs)
    allowed_principals   = jsonencode(var.allowed_principals)
    protected_principals = jsonencode(module.account.protected_arns)
  }
}

module "account" {
  source = "./modules/account"

  name_prefix          = var.name_prefix
  workflow_role_arn    = "arn:${local.partition}:iam::${local.account}:role/${local.function_names.workflow}"
  organization_id      = var.organization_id
  containment_mode     = var.containment_mode
  protected_principals = var.protected_principals
  own_roles            = local.own_roles
}

# Earlier versions had these resources in the root. Terraform moves them in its state and replaces none.
moved {
  from = aws_iam_policy.containment_deny
  to   = module.account.aws_iam_policy.containment_deny
}

moved {
  from = aws_iam_role.containment
  to   = module.account.aws_iam_role.containment
}

moved {
  from = aws_iam_role_policy.containment
  to   = module.account.aws_iam_role_policy.containment
}

moved {
  from = aws_iam_policy.protected
  to   = module.account.aws_iam_policy.protected
}

moved {
  from = aws_iam_role_policy_attachment.protected
  to   = module.account.aws_iam_role_policy_attachment.protected
}

resource "aws_dynamodb_table_item" "lists" {
  table_name = aws_dynamodb_table.ledger.name
  hash_key   = "PK"
  range_key  = "SK"
  item = jsonencode(merge(
    { PK = { S = "CONFIG#lists" }, SK = { S = "META" } },
    { for name, list in local.lists : name => { S = list } },
    # For verify.
    { protected_entries = { S = jsonencode(module.account.protected_entries) } },
    { for name in ["organization_id"] : name => { S = var.organization_id } if var.organization_id != null },
  ))
}
