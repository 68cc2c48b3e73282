terraform {
  # 1.11 is the first version with write-only arguments: a secret given that way is in neither plan nor state.
  required_version = ">= 1.11"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 5.100"
    }
  }
}

provider "aws" {
  region = var.region

  default_tags {
    tags = local.tags
  }
}

# CloudTrail delivers the events of global services (IAM, root sign-in) in us-east-1 only. In another home region the
# rules that forward them live there.
provider "aws" {
  alias  = "global_events"
  region = local.global_events_region

  default_tags {
    tags = local.tags
  }
}
