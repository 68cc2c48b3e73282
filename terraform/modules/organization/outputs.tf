output "stack_set_name" {
  description = "Name of the StackSet."
  value       = aws_cloudformation_stack_set.members.name
}

output "template" {
  description = "The template as JSON, for an account that the StackSet does not reach, for example the management account."
  value       = local.template
}

output "failures_queue" {
  description = "Name of the queue of events that did not reach the hub, in each watched region of a member."
  value       = module.region.queue.name
}
