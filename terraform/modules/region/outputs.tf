output "failures_queue" {
  description = "Name of the queue of events that did not reach the hub."
  value       = local.queue
}

output "rules" {
  description = "Names of the rules by the id of their detection."
  value       = local.rules
}
