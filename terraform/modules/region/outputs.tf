output "failures_queue" {
  description = "Name of the queue of events that did not reach the hub."
  value       = module.documents.queue.name
}

output "rules" {
  description = "Names of the rules by the id of their detection."
  value       = { for id, rule in module.documents.rules : id => rule.name }
}
