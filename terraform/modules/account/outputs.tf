output "containment_role_arn" {
  description = "ARN of the containment role."
  value       = "arn:${local.partition}:iam::${local.account}:role/${local.role_name}"
}

output "forwarding_role_arn" {
  description = "ARN of the role with which EventBridge forwards events to the hub, or null without `detections_bus_arn`."
  value       = one(aws_iam_role.forwarding[*].arn)
}

output "protected_entries" {
  description = "The users and roles that each entry of protected_principals protects. An empty list protects none: correct the entry, or plan again when the principal exists."
  value       = local.protected_entries
}

output "protected_arns" {
  description = "ARNs of all principals that the role can never change, with the roles of ir-router."
  value       = concat(local.protected_arns, module.documents.own_role_arns)
}

output "digests" {
  description = "Digests of the role's trust policy, permissions and policies for protected principals. The hub's verification compares them with the policies in IAM."
  value = {
    protection  = substr(base64sha256(join(",", sort([for policy in aws_iam_policy.protected : policy.name]))), 0, 10)
    role_policy = substr(base64sha256(local.containment_policy), 0, 10)
    role_trust  = substr(base64sha256(local.trust_policy), 0, 10)
  }
}
