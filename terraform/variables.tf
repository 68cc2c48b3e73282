# Where and what

variable "region" {
  type        = string
  description = "The home region: where everything is deployed. It must be the region of the AWS Security Incident Response membership."
  default     = "us-east-1"

  validation {
    condition     = can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]$", var.region))
    error_message = "region must be the name of an AWS region, for example us-east-1."
  }
}

variable "name_prefix" {
  type        = string
  description = "What the names of all resources begin with. Change it to deploy a second time next to the first (one Slack workspace each); SSM parameter paths and fixed names then take it as well."
  default     = "security-incident"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,28}[a-z0-9]$", var.name_prefix))
    error_message = "name_prefix must be 3 to 30 lower-case letters, digits and hyphens, begin with a letter and end with a letter or digit."
  }
}

variable "package_path" {
  type        = string
  description = "The deployed zip, made by `make build`."
  default     = "../build/ir_router.zip"

  validation {
    condition     = fileexists(var.package_path)
    error_message = "There is no zip at package_path. Run `make build` first, or point package_path at the zip."
  }
}

variable "lambda_architecture" {
  type        = string
  description = "Processor architecture of the functions. It must be the one that the zip was built for."
  default     = "arm64"

  validation {
    condition     = contains(["arm64", "x86_64"], var.lambda_architecture)
    error_message = "lambda_architecture must be arm64 or x86_64."
  }
}

variable "log_level" {
  type        = string
  description = "Log level of the functions: info, debug or error. No level logs message text, tokens or personal data."
  default     = "error"

  validation {
    condition     = contains(["info", "debug", "error"], var.log_level)
    error_message = "log_level must be info, debug or error."
  }
}

variable "kms_key_arn" {
  type        = string
  description = "Customer-managed key to encrypt with, in the home region. Its policy must allow what output key_policy shows. Null: one is made."
  default     = null

  validation {
    condition     = var.kms_key_arn == null || can(regex("^arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/[a-zA-Z0-9-]+$", var.kms_key_arn))
    error_message = "kms_key_arn must be the ARN of a key (arn:aws:kms:REGION:ACCOUNT:key/ID), not of an alias."
  }
}

variable "web_acl_arn" {
  type        = string
  description = "AWS WAF web ACL (regional) to put before the API. Null: none."
  default     = null

  validation {
    condition     = var.web_acl_arn == null || can(regex("^arn:aws[a-z-]*:wafv2:[a-z0-9-]+:[0-9]{12}:regional/webacl/.+$", var.web_acl_arn))
    error_message = "web_acl_arn must be the ARN of a regional web ACL (arn:aws:wafv2:REGION:ACCOUNT:regional/webacl/NAME/ID)."
  }
}

variable "extra_environment" {
  type        = map(string)
  description = "Environment variables added to every function, for example another endpoint. Never secrets: an environment is readable by whoever may read a function's configuration."
  default     = {}
}

variable "manage_api_gateway_account" {
  type        = bool
  description = "Whether to set the role with which API Gateway writes logs. There is one for each account and region: set it to false where another deployment already manages it."
  default     = true
}

# Slack

variable "slack_bot_token" {
  type        = string
  description = "Bot User OAuth Token of the Slack app (xoxb-...). May be absent until the app exists. Stored as SecureString; in neither plan nor state."
  default     = null
  sensitive   = true
  ephemeral   = true

  validation {
    condition     = var.slack_bot_token == null || can(regex("^xoxb-[0-9]+-[0-9]+-[a-zA-Z0-9]+$", var.slack_bot_token))
    error_message = "slack_bot_token must look like xoxb-NUMBERS-NUMBERS-ALPHANUMERIC: copy the Bot User OAuth Token from OAuth & Permissions in the Slack app's settings."
  }

  # All three are written at once: the one that is left out would be overwritten with nothing.
  validation {
    condition     = (var.slack_bot_token == null) == (var.slack_signing_secret == null) && (var.slack_bot_token == null || var.slack_workspace_id != null)
    error_message = "Give slack_bot_token, slack_signing_secret and slack_workspace_id together: all three are written when slack_credentials_version changes."
  }
}

variable "slack_signing_secret" {
  type        = string
  description = "Signing Secret of the Slack app. May be absent until the app exists. Stored as SecureString; in neither plan nor state."
  default     = null
  sensitive   = true
  ephemeral   = true

  validation {
    condition     = var.slack_signing_secret == null || can(regex("^[0-9a-fA-F]{32}$", var.slack_signing_secret))
    error_message = "slack_signing_secret must be 32 hexadecimal characters: copy the Signing Secret from Basic Information in the Slack app's settings."
  }
}

variable "slack_workspace_id" {
  type        = string
  description = "Slack workspace (T...) or Enterprise Grid organisation (E...) whose requests are answered. May be absent until the app exists."
  default     = null
  ephemeral   = true

  validation {
    condition     = var.slack_workspace_id == null || can(regex("^[A-Z0-9]{9,11}$", var.slack_workspace_id))
    error_message = "slack_workspace_id must be 9 to 11 upper-case letters and digits, for example T1234567890: it is in the URL of the workspace's settings."
  }
}

variable "slack_credentials_version" {
  type        = number
  description = "Token, signing secret and workspace id are written when this number changes, and only then: raise it by one whenever you give other ones, also when you give them for the first time after an apply without. Raised without them, it removes them."
  default     = 1

  validation {
    condition     = var.slack_credentials_version >= 1 && floor(var.slack_credentials_version) == var.slack_credentials_version
    error_message = "slack_credentials_version must be a whole number from 1 up."
  }
}

variable "previous_signing_secret_hours" {
  type        = number
  description = "How long after a rotation the previous signing secret is accepted as well, while Slack switches over."
  default     = 24

  validation {
    condition     = var.previous_signing_secret_hours >= 0 && var.previous_signing_secret_hours <= 168
    error_message = "previous_signing_secret_hours must be between 0 (not at all) and 168 (a week)."
  }
}

variable "slack_channel_prefix" {
  type        = string
  description = "What the names of case channels begin with; the case id follows."
  default     = "aws-security-incident-response-case-"

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9_-]{0,47}$", var.slack_channel_prefix))
    error_message = "slack_channel_prefix must be 1 to 48 lower-case letters, digits, hyphens and underscores and begin with a letter or digit (Slack allows 80 with the case id)."
  }
}

variable "slack_channel_visibility" {
  type        = string
  description = "Whether case channels are private (only members see them) or public."
  default     = "private"

  validation {
    condition     = contains(["private", "public"], var.slack_channel_visibility)
    error_message = "slack_channel_visibility must be private or public."
  }
}

variable "security_channel_id" {
  type        = string
  description = "Slack channel that is told about approvals next to the case's own channel, and instead of it where there is no case. Empty: none. Invite the app to it."
  default     = ""

  validation {
    condition     = can(regex("^([CG][A-Z0-9]{8,})?$", var.security_channel_id))
    error_message = "security_channel_id must be the id of a channel, for example C0123456789 (at the end of `View channel details`), not its name."
  }
}

variable "slack_approvers" {
  type        = list(string)
  description = "Who may approve or deny: Slack user ids (U..., W...), user groups (S...) or e-mail addresses. Empty: the membership's incident response team."
  default     = []

  validation {
    condition     = alltrue([for who in var.slack_approvers : can(regex(local.slack_person, who))])
    error_message = "Each of slack_approvers must be a Slack user id (U... or W...), a user group id (S...) or an e-mail address."
  }
}

variable "slack_case_editors" {
  type        = list(string)
  description = "Who may change cases from Slack, next to the case's watchers and the incident response team: Slack user ids, user groups or e-mail addresses."
  default     = []

  validation {
    condition     = alltrue([for who in var.slack_case_editors : can(regex(local.slack_person, who))])
    error_message = "Each of slack_case_editors must be a Slack user id (U... or W...), a user group id (S...) or an e-mail address."
  }
}

variable "mirror_bots" {
  type        = bool
  description = "Whether messages of other bots in a case channel become comments on the case."
  default     = false
}

variable "remove_former_watchers" {
  type        = bool
  description = "Whether a watcher who was removed from a case is also removed from its channel."
  default     = false
}

# Cases

variable "initial_import" {
  type        = string
  description = "What the first poll does with cases that exist already: open (open ones get channels) or none."
  default     = "open"

  validation {
    condition     = contains(["open", "none"], var.initial_import)
    error_message = "initial_import must be open or none."
  }
}

variable "case_resolver_type" {
  type        = string
  description = "Who resolves cases that this system opens: Self, or AWS to engage AWS's responders."
  default     = "Self"

  validation {
    condition     = contains(["Self", "AWS"], var.case_resolver_type)
    error_message = "case_resolver_type must be Self or AWS."
  }
}

# Containment

variable "containment_mode" {
  type        = string
  description = "dry_run (every decision made, recorded and alerted, nothing changed), enforce, or off (alerts only). Only enforce gives the workflow the rights to attach the deny policy and to delete keys; those to restore (detach it, switch keys on and off) it has in each mode."
  default     = "dry_run"

  validation {
    condition     = contains(["dry_run", "enforce", "off"], var.containment_mode)
    error_message = "containment_mode must be dry_run, enforce or off."
  }
}

variable "protected_principals" {
  type        = list(string)
  description = "Users and roles that are never contained, break-glass accounts for example: full IAM ARNs, `*` allowed. Refused in code and denied by IAM."
  default     = []

  validation {
    condition     = alltrue([for arn in var.protected_principals : can(regex("^arn:aws[a-z-]*:iam::([0-9]{12}|\\*):(user|role)/.+$", arn))])
    error_message = "Each of protected_principals must be the full ARN of an IAM user or role, for example arn:aws:iam::123456789012:role/break-glass-*."
  }
}

variable "max_containments_per_hour" {
  type        = number
  description = "How many principals may be contained within an hour. Beyond it a person is asked first."
  default     = 10

  validation {
    condition     = var.max_containments_per_hour >= 1 && floor(var.max_containments_per_hour) == var.max_containments_per_hour
    error_message = "max_containments_per_hour must be a whole number from 1 up; to contain nothing, set containment_mode to dry_run or off."
  }
}

variable "contain_other_keys" {
  type        = bool
  description = "Whether the other active access keys of a contained user are disabled as well."
  default     = true
}

variable "contain_actor" {
  type        = bool
  description = "Whether the principal who acted is contained as well when it is not the owner of the key."
  default     = false
}

variable "allowed_cidrs" {
  type        = list(string)
  description = "Source addresses (IPv4 or IPv6 CIDR) whose actions are never contained: they are logged and ended."
  default     = []

  validation {
    condition     = alltrue([for cidr in var.allowed_cidrs : can(cidrhost(cidr, 0))])
    error_message = "Each of allowed_cidrs must be an IPv4 or IPv6 block, for example 203.0.113.0/24 or 2001:db8::/32 (one address: /32 or /128)."
  }

  # As workflow/allowlist.py has it: what is wider is never used.
  validation {
    condition = alltrue([
      for cidr in var.allowed_cidrs : try(tonumber(split("/", cidr)[1]), 128) >= (strcontains(cidr, ":") ? 32 : 8)
    ])
    error_message = "None of allowed_cidrs may be wider than /8 (IPv4) or /32 (IPv6): it would allow too many addresses."
  }
}

variable "allowed_principals" {
  type        = list(string)
  description = "Principals whose actions are never contained: full ARNs, `*` allowed."
  default     = []

  validation {
    # As workflow/allowlist.py has it: what might be every principal of an account is never used.
    condition = alltrue([
      for arn in var.allowed_principals :
      can(regex("^arn:aws[a-z-]*:(iam::[0-9]{12}:(user|role)|sts::[0-9]{12}:assumed-role)/[^*/:][^:]*$", arn))
    ])
    error_message = "Each of allowed_principals must be a full ARN of a user, role or assumed-role, with its account and at least the first character of its name or path, for example arn:aws:sts::123456789012:assumed-role/deploy/*."
  }
}

variable "owner_tag" {
  type        = string
  description = "IAM tag of a user or role that holds the e-mail address of its owner, who may not decide about it."
  default     = "slack-email"

  validation {
    condition     = can(regex("^[A-Za-z0-9+=._:/@-]{1,128}$", var.owner_tag))
    error_message = "owner_tag must be a tag key of 1 to 128 letters, digits and + = . _ : / @ -."
  }
}

variable "audit_retention_days" {
  type        = number
  description = "How long audit records are kept. The closing hash of a month is kept for ever."
  default     = 365

  validation {
    condition     = var.audit_retention_days >= 30 && floor(var.audit_retention_days) == var.audit_retention_days
    error_message = "audit_retention_days must be a whole number from 30 up."
  }
}

# Watching

variable "alert_emails" {
  type        = list(string)
  description = "Who gets security alerts and alarms by e-mail. Each address must confirm once. A Slack channel's own e-mail address works too."
  default     = []

  validation {
    condition     = alltrue([for address in var.alert_emails : can(regex("^[^@[:space:]]+@[^@[:space:]]+[.][^@[:space:]]+$", address))])
    error_message = "Each of alert_emails must be an e-mail address."
  }
}

variable "log_retention_days" {
  type        = number
  description = "How long the functions' and the workflow's logs are kept. Access logs are kept one week."
  default     = 90

  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653], var.log_retention_days)
    error_message = "log_retention_days must be a retention that CloudWatch Logs knows, for example 7, 30, 90, 365 or 731."
  }
}

variable "xray_tracing" {
  type        = bool
  description = "Whether functions, workflow and API send traces to AWS X-Ray."
  default     = false
}
