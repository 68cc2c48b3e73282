terraform {
  # 1.11 is the first version with write-only arguments, which keep secrets out of the plan and the state.
  required_version = ">= 1.11"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.100, < 7"
    }
  }
}

provider "aws" {
  region = var.region

  default_tags {
    tags = local.tags
  }
}

# CloudTrail delivers the events of global services (IAM, root sign-in) only in us-east-1. If the home region is another
# one, this provider creates the forwarding rules in us-east-1.
provider "aws" {
  alias  = "global_events"
  region = local.global_events_region

  default_tags {
    tags = local.tags
  }
}
