# Deployment

variable "region" {
  type        = string
  description = "Home region, where all resources are deployed. It must be the region of your AWS Security Incident Response membership."
  default     = "us-east-1"

  validation {
    condition     = contains(concat(local.security_ir_regions, local.possible_regions), var.region)
    error_message = "region must be a region in which AWS Security Incident Response exists: ${join(", ", local.security_ir_regions)}. If AWS has added a region since this release, add it to security_ir_regions in locals.tf."
  }
}

variable "name_prefix" {
  type        = string
  description = "Prefix of all resource names. Change it for a second deployment in the same account (one Slack workspace each). SSM parameter paths and the fixed names then get the prefix too."
  default     = "security-incident"

  validation {
    # The longest name is that of a rule: the prefix, `-detect-`, and the id of a detection, in at most 64 characters.
    condition     = can(regex("^[a-z][a-z0-9-]{1,26}[a-z0-9]$", var.name_prefix))
    error_message = "name_prefix must be 3 to 28 lower-case letters, digits or hyphens. It must begin with a letter and end with a letter or digit."
  }
}

variable "package_path" {
  type        = string
  description = "Path of the zip to deploy. `make build` creates it."
  default     = "../build/ir_router.zip"

  validation {
    condition     = fileexists(var.package_path)
    error_message = "package_path does not exist. Run `make build` first, or set package_path to an existing zip."
  }
}

variable "lambda_architecture" {
  type        = string
  description = "Processor architecture of the functions. It must match the architecture of the zip."
  default     = "arm64"

  validation {
    condition     = contains(["arm64", "x86_64"], var.lambda_architecture)
    error_message = "lambda_architecture must be arm64 or x86_64."
  }

  # `make build` writes package.json next to the zip. A zip without an entry there is not checked.
  validation {
    condition     = contains([var.lambda_architecture, "unknown"], local.package_architecture)
    error_message = "lambda_architecture is ${var.lambda_architecture}, but the zip in package_path is built for ${local.package_architecture}. Run `make build ARCHITECTURE=${var.lambda_architecture}`, or change lambda_architecture."
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
  description = "ARN of your own customer-managed KMS key in the home region. Its policy must contain the statements in the output key_policy. If null, Terraform creates a key."
  default     = null

  validation {
    condition     = var.kms_key_arn == null || can(regex("^arn:aws:kms:[a-z0-9-]+:[0-9]{12}:key/[a-zA-Z0-9-]+$", var.kms_key_arn))
    error_message = "kms_key_arn must be the ARN of a key (arn:aws:kms:REGION:ACCOUNT:key/ID), not of an alias."
  }
}

variable "workflow_kms_key_arn" {
  type        = string
  description = "ARN of your own customer-managed KMS key for the executions of the workflow. Its policy must contain the statements in the output workflow_key_policy. If null, Terraform creates a key. If you set it to kms_key_arn, a disabled key stops containment."
  default     = null

  validation {
    condition     = var.workflow_kms_key_arn == null || can(regex("^arn:aws:kms:[a-z0-9-]+:[0-9]{12}:key/[a-zA-Z0-9-]+$", var.workflow_kms_key_arn))
    error_message = "workflow_kms_key_arn must be the ARN of a key (arn:aws:kms:REGION:ACCOUNT:key/ID), not of an alias."
  }
}

variable "code_signing_config_arn" {
  type        = string
  description = "ARN of a code signing configuration of Lambda. The functions then run only a zip that one of its profiles has signed; set package_path to that zip. If null, Lambda checks no signature."
  default     = null

  validation {
    condition     = var.code_signing_config_arn == null || can(regex("^arn:aws:lambda:[a-z0-9-]+:[0-9]{12}:code-signing-config:csc-[a-z0-9]{17}$", var.code_signing_config_arn))
    error_message = "code_signing_config_arn must be the ARN of a code signing configuration (arn:aws:lambda:REGION:ACCOUNT:code-signing-config:csc-...)."
  }
}

variable "web_acl_arn" {
  type        = string
  description = "ARN of a regional AWS WAF web ACL that protects the API. If null, the API has no web ACL."
  default     = null

  validation {
    condition     = var.web_acl_arn == null || can(regex("^arn:aws:wafv2:[a-z0-9-]+:[0-9]{12}:regional/webacl/.+$", var.web_acl_arn))
    error_message = "web_acl_arn must be the ARN of a regional web ACL (arn:aws:wafv2:REGION:ACCOUNT:regional/webacl/NAME/ID)."
  }
}

variable "extra_environment" {
  type        = map(string)
  description = "Environment variables added to every function, for example an alternative endpoint. Do not put secrets here: anyone who can read the configuration of a function can read its environment."
  default     = {}

  # docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html: 4 KB for all variables of a function.
  validation {
    condition     = length(jsonencode(var.extra_environment)) <= 500
    error_message = "extra_environment must have at most 500 characters as JSON. AWS allows 4 KB for all environment variables of a function, and the others need the rest."
  }

  # docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html, "Reserved".
  validation {
    condition     = alltrue([for name in keys(var.extra_environment) : can(regex("^[a-zA-Z][a-zA-Z0-9_]+$", name)) && !contains(local.reserved_environment, name)])
    error_message = "Each name in extra_environment must begin with a letter, have at least two letters, digits or underscores, and not be one that Lambda reserves, such as AWS_REGION."
  }
}

variable "manage_api_gateway_account" {
  type        = bool
  description = "If true, Terraform creates a role with which API Gateway writes logs, and sets it for the account and region. Set it to true only if the account has no such role in this region: Terraform would replace the role that other APIs use. `make deploy` detects this automatically."
  default     = false
}

variable "api_access_logs" {
  type        = bool
  description = "If true, the API writes an access log: sender, request and result of each call. AWS needs a role for it that the account has once per region (manage_api_gateway_account). If false, `make verify` cannot show whether Slack's requests are accepted."
  default     = true
}

# Slack

variable "slack_bot_token" {
  type        = string
  description = "Bot User OAuth Token of the Slack app (xoxb-...). Leave it null until the app exists. It is stored as a SecureString and never appears in the plan or state."
  default     = null
  sensitive   = true
  ephemeral   = true

  validation {
    condition     = var.slack_bot_token == null || can(regex("^xoxb-[0-9]+-[0-9]+-[a-zA-Z0-9]+$", var.slack_bot_token))
    error_message = "slack_bot_token must have the form xoxb-NUMBERS-NUMBERS-ALPHANUMERIC. Copy the Bot User OAuth Token from OAuth & Permissions in the settings of the Slack app."
  }

  # Terraform writes all three at once, so it would overwrite an omitted value with the placeholder.
  validation {
    condition     = (var.slack_bot_token == null) == (var.slack_signing_secret == null) && (var.slack_bot_token == null || var.slack_workspace_id != null)
    error_message = "Set slack_bot_token, slack_signing_secret and slack_workspace_id together. Terraform writes all three when slack_credentials_version changes."
  }
}

variable "slack_signing_secret" {
  type        = string
  description = "Signing Secret of the Slack app. Leave it null until the app exists. It is stored as a SecureString and never appears in the plan or state."
  default     = null
  sensitive   = true
  ephemeral   = true

  validation {
    condition     = var.slack_signing_secret == null || can(regex("^[0-9a-fA-F]{32}$", var.slack_signing_secret))
    error_message = "slack_signing_secret must be 32 hexadecimal characters. Copy the Signing Secret from Basic Information in the settings of the Slack app."
  }
}

variable "slack_workspace_id" {
  type        = string
  description = "Id of the Slack workspace (T...) or Enterprise Grid organisation (E...). Requests from other workspaces are refused. Leave it null until the app exists."
  default     = null
  ephemeral   = true

  validation {
    condition     = var.slack_workspace_id == null || can(regex("^[A-Z0-9]{9,11}$", var.slack_workspace_id))
    error_message = "slack_workspace_id must be 9 to 11 upper-case letters or digits, for example T1234567890, or E1234567890 for an Enterprise Grid organisation. You find it in the URL of the workspace settings."
  }
}

variable "slack_credentials_version" {
  type        = number
  description = "Terraform writes the token, signing secret and workspace id only when this number changes. Raise it by one each time you set new values, including the first time after an apply without them. If you raise it without setting the values, Terraform replaces the stored credentials with a placeholder."
  default     = 1

  validation {
    condition     = var.slack_credentials_version >= 1 && floor(var.slack_credentials_version) == var.slack_credentials_version
    error_message = "slack_credentials_version must be an integer of 1 or more."
  }
}

variable "previous_signing_secret_hours" {
  type        = number
  description = "Hours after a rotation during which requests signed with the previous signing secret are still accepted. If 0, the previous secret is not accepted."
  default     = 24

  validation {
    condition     = var.previous_signing_secret_hours >= 0 && var.previous_signing_secret_hours <= 168
    error_message = "previous_signing_secret_hours must be between 0 (never accept the previous secret) and 168 (one week)."
  }
}

variable "slack_channel_prefix" {
  type        = string
  description = "Prefix of the names of case channels. The case id follows it. Existing channels keep their names."
  default     = "aws-security-incident-response-case-"

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9_-]{0,47}$", var.slack_channel_prefix))
    error_message = "slack_channel_prefix must be 1 to 48 lower-case letters, digits, hyphens or underscores and begin with a letter or digit. Slack allows 80 characters for the prefix and the case id together."
  }
}

variable "slack_channel_visibility" {
  type        = string
  description = "Visibility of new case channels: private (only members see them) or public."
  default     = "private"

  validation {
    condition     = contains(["private", "public"], var.slack_channel_visibility)
    error_message = "slack_channel_visibility must be private or public."
  }
}

variable "security_channel_id" {
  type        = string
  description = "Id of a Slack channel that receives every approval request, in addition to the case channel or, if there is no case, instead of it. Invite the app to this channel. If empty, ir-router makes a private channel and invites the approvers and the response team."
  default     = ""

  validation {
    condition     = can(regex("^([CG][A-Z0-9]{8,})?$", var.security_channel_id))
    error_message = "security_channel_id must be a channel id, for example C0123456789, not a channel name. You find the id at the end of `View channel details`."
  }
}

variable "security_channel_name" {
  type        = string
  description = "Name of the private security channel that ir-router makes if security_channel_id is empty. If empty, the name is the prefix with -security. If another channel has the name, a number follows it."
  default     = ""

  validation {
    condition     = can(regex("^[a-z0-9_-]{0,78}$", var.security_channel_name))
    error_message = "security_channel_name must have at most 78 lower-case letters, digits, hyphens and underscores."
  }
}

variable "slack_approvers" {
  type        = list(string)
  description = "Approvers: Slack user ids (U..., W...), user group ids (S...) or e-mail addresses. If empty, the incident response team of the membership approves."
  default     = []

  validation {
    condition     = alltrue([for who in var.slack_approvers : can(regex(local.slack_person, who))])
    error_message = "Each of slack_approvers must be a Slack user id (U... or W...), a user group id (S...) or an e-mail address."
  }

  # The list is in the environment of the functions, which AWS limits to 4 KB.
  validation {
    condition     = length(jsonencode(var.slack_approvers)) <= 700
    error_message = "slack_approvers must have at most 700 characters as JSON. For more users, use a Slack user group (S...)."
  }
}

variable "slack_mention" {
  type        = list(string)
  description = "Users that approval requests, reminders, urgent messages and CRITICAL alerts mention: approvers, here, Slack user ids (U..., W...), user group ids (S...) or e-mail addresses. If empty, these messages have no mention."
  default     = ["approvers"]

  validation {
    condition     = length(var.slack_mention) <= 10 && alltrue([for who in var.slack_mention : contains(["approvers", "here"], who) || can(regex(local.slack_person, who))])
    error_message = "slack_mention must have at most 10 entries: approvers, here, Slack user ids (U... or W...), user group ids (S...) or e-mail addresses."
  }
}

variable "reminder_minutes" {
  type        = list(number)
  description = "Minutes after an approval request at which reminders follow. If null: 10, 60, 480 and 1200."
  default     = null

  validation {
    condition     = var.reminder_minutes == null ? true : length(var.reminder_minutes) <= 10 && alltrue([for index, minutes in var.reminder_minutes : minutes >= 1 && minutes <= 1439 && floor(minutes) == minutes && (index == 0 || minutes > var.reminder_minutes[max(index - 1, 0)])])
    error_message = "reminder_minutes must have at most 10 ascending integers from 1 to 1439."
  }
}

variable "page_after_minutes" {
  type        = number
  description = "Minutes after which an approval request without an assignee pages (the SNS topic <name_prefix>-page). An analyst becomes the assignee with the button \"I'm on it\"."
  default     = 10

  validation {
    condition     = var.page_after_minutes >= 1 && var.page_after_minutes <= 1439 && floor(var.page_after_minutes) == var.page_after_minutes
    error_message = "page_after_minutes must be an integer from 1 to 1439."
  }
}

variable "approvals_required" {
  type = object({
    remediate_approve  = optional(number, 1)
    remediate_deny     = optional(number, 1)
    release            = optional(number, 1)
    contain_over_limit = optional(number, 1)
  })
  description = "How many people must approve or deny after a containment, release a principal, or decide about a containment that needs permission: 1 or 2. A change applies to new requests."
  default     = {}
  nullable    = false

  validation {
    condition     = alltrue([for number in values(var.approvals_required) : contains([1, 2], number)])
    error_message = "Each number in approvals_required must be 1 or 2."
  }
}

variable "slack_case_editors" {
  type        = list(string)
  description = "Users who can change cases from Slack, in addition to the watchers of the case and the incident response team: Slack user ids, user group ids or e-mail addresses."
  default     = []

  validation {
    condition     = alltrue([for who in var.slack_case_editors : can(regex(local.slack_person, who))])
    error_message = "Each of slack_case_editors must be a Slack user id (U... or W...), a user group id (S...) or an e-mail address."
  }

  # The list is in the environment of the functions, which AWS limits to 4 KB.
  validation {
    condition     = length(jsonencode(var.slack_case_editors)) <= 700
    error_message = "slack_case_editors must have at most 700 characters as JSON. For more users, use a Slack user group (S...)."
  }
}

variable "watcher_domains" {
  type        = list(string)
  description = "Domains of watchers that ir-router invites and that may change cases from Slack, for example [\"example.com\"]. By default the domains of the incident response team. [\"*\"] allows every domain."
  default     = []

  validation {
    condition     = alltrue([for domain in var.watcher_domains : can(regex("^([*]|([a-z0-9-]+[.])+[a-z0-9-]+)$", domain))])
    error_message = "Each of watcher_domains must be a domain in lower case, such as example.com, or \"*\"."
  }

  # The list is in the environment of the functions, which AWS limits to 4 KB.
  validation {
    condition     = length(jsonencode(var.watcher_domains)) <= 150
    error_message = "watcher_domains must have at most 150 characters as JSON."
  }
}

variable "mirror_bots" {
  type        = bool
  description = "If true, messages from other bots in a case channel become comments on the case."
  default     = false
}

variable "remove_former_watchers" {
  type        = bool
  description = "If true, a watcher who is removed from a case is also removed from its channel."
  default     = false
}

# Cases

variable "initial_import" {
  type        = string
  description = "Cases that get a channel at the first poll: open (all open cases) or none (only cases created later)."
  default     = "open"

  validation {
    condition     = contains(["open", "none"], var.initial_import)
    error_message = "initial_import must be open or none."
  }
}

variable "quota_self_managed_cases" {
  description = "AWS's quota for active self-managed cases in the region. Set it if AWS has changed your quota. An alarm starts at 80 %."
  type        = number
  default     = 50

  validation {
    condition     = var.quota_self_managed_cases >= 50 && floor(var.quota_self_managed_cases) == var.quota_self_managed_cases
    error_message = "quota_self_managed_cases must be an integer of at least 50, the default of AWS. Service Quotas only increases it."
  }
}

variable "quota_aws_supported_cases" {
  description = "AWS's quota for active AWS-supported cases in the region."
  type        = number
  default     = 10

  validation {
    condition     = var.quota_aws_supported_cases >= 10 && floor(var.quota_aws_supported_cases) == var.quota_aws_supported_cases
    error_message = "quota_aws_supported_cases must be an integer of at least 10, the default of AWS. Service Quotas only increases it."
  }
}

variable "quota_new_aws_supported_cases" {
  description = "AWS's quota for AWS-supported cases that are created in a day."
  type        = number
  default     = 10

  validation {
    condition     = var.quota_new_aws_supported_cases >= 10 && floor(var.quota_new_aws_supported_cases) == var.quota_new_aws_supported_cases
    error_message = "quota_new_aws_supported_cases must be an integer of at least 10, the default of AWS. Service Quotas only increases it."
  }
}

variable "case_resolver_type" {
  type        = string
  description = "Resolver of the cases that ir-router opens: Self, or AWS to engage the responders of AWS."
  default     = "Self"

  validation {
    condition     = contains(["Self", "AWS"], var.case_resolver_type)
    error_message = "case_resolver_type must be Self or AWS."
  }
}

# Containment

variable "containment_mode" {
  type        = string
  description = "dry_run (ir-router decides, records and alerts, but changes nothing), enforce (it contains), or off (alerts only). Only enforce gives the workflow the IAM permissions to attach the deny policy and to delete keys. In every mode the workflow keeps the permissions to restore: detach the policy, and enable or disable keys."
  default     = "dry_run"

  validation {
    condition     = contains(["dry_run", "enforce", "off"], var.containment_mode)
    error_message = "containment_mode must be dry_run, enforce or off."
  }
}

variable "protected_principals" {
  type        = list(string)
  description = "Users and roles that are never contained, for example break-glass accounts: full IAM ARNs. An entry with `*` protects the principals that exist when you plan. It does not protect principals that are created later. The code refuses to contain them, and an IAM policy denies it."
  default     = []

  validation {
    condition     = alltrue([for arn in var.protected_principals : can(regex("^arn:aws:iam::([0-9]{12}|\\*):(user|role)/.+$", arn))])
    error_message = "Each of protected_principals must be the full ARN of an IAM user or role, for example arn:aws:iam::123456789012:role/break-glass-*."
  }

  # Managed policies contain the ARNs: 6,144 characters each, and at most 10 for a role (IAM quotas).
  validation {
    condition     = length(var.protected_principals) <= 200 && alltrue([for arn in var.protected_principals : length(arn) <= 200])
    error_message = "protected_principals must have at most 200 ARNs of at most 200 characters each. Use `*` to shorten an ARN or to protect several principals."
  }
}

variable "organization_id" {
  type        = string
  description = "Id of your AWS organisation. If set, ir-router also contains principals of the organisation's other accounts, each through the role of its account (docs/organisation.md). If null, it contains principals of this account only."
  default     = null

  validation {
    condition     = var.organization_id == null || can(regex("^o-[a-z0-9]{10,32}$", var.organization_id))
    error_message = "organization_id must be the id of an organisation, for example o-a1b2c3d4e5 (aws organizations describe-organization)."
  }
}

variable "max_containments_per_hour" {
  type        = number
  description = "Maximum number of distinct principals contained within one hour. Beyond this limit, ir-router requests approval before it contains."
  default     = 10

  validation {
    condition     = var.max_containments_per_hour >= 1 && floor(var.max_containments_per_hour) == var.max_containments_per_hour
    error_message = "max_containments_per_hour must be an integer of 1 or more. To contain nothing, set containment_mode to dry_run or off."
  }
}

variable "max_containments_per_hour_per_account" {
  type        = number
  description = "Maximum number of distinct principals of one account contained within one hour. It counts only if organization_id is set."
  default     = 5

  validation {
    condition     = var.max_containments_per_hour_per_account >= 1 && floor(var.max_containments_per_hour_per_account) == var.max_containments_per_hour_per_account
    error_message = "max_containments_per_hour_per_account must be an integer of 1 or more. To contain nothing in an account, apply modules/account there with the mode dry_run or off."
  }
}

variable "contain_other_keys" {
  type        = bool
  description = "If true, the other active access keys of a contained user are disabled too."
  default     = true
}

variable "contain_actor" {
  type        = bool
  description = "If true, the principal that made the call is contained too, if it is not the owner of the key."
  default     = false
}

variable "containment_scope" {
  type        = string
  description = "The scope of a containment if another principal created the access key. principal: the key and its owner (deny policy). key: only the new key."
  default     = "principal"

  validation {
    condition     = contains(["principal", "key"], var.containment_scope)
    error_message = "containment_scope must be principal or key."
  }
}

variable "ask_before_containing_roles" {
  type        = string
  description = "Roles that ir-router contains only after an approval. service_roles: roles that AWS services assume, which production may share. all: every role. none: no role."
  default     = "service_roles"

  validation {
    condition     = contains(["service_roles", "all", "none"], var.ask_before_containing_roles)
    error_message = "ask_before_containing_roles must be service_roles, all or none."
  }
}

variable "allowed_cidrs" {
  type        = list(string)
  description = "Source addresses whose actions are logged and not contained: IPv4 or IPv6 CIDR blocks."
  default     = []

  validation {
    condition     = alltrue([for cidr in var.allowed_cidrs : can(cidrhost(cidr, 0))])
    error_message = "Each of allowed_cidrs must be an IPv4 or IPv6 CIDR block, for example 203.0.113.0/24 or 2001:db8::/32. For one address, use /32 or /128."
  }

  validation {
    condition     = length(var.allowed_cidrs) <= 2000
    error_message = "allowed_cidrs must have at most 2000 entries."
  }

  # The same limit as in workflow/allowlist.py, which ignores wider networks.
  validation {
    condition = alltrue([
      for cidr in var.allowed_cidrs : try(tonumber(split("/", cidr)[1]), 128) >= (strcontains(cidr, ":") ? 32 : 8)
    ])
    error_message = "None of allowed_cidrs can be wider than /8 (IPv4) or /32 (IPv6), because it would allow too many addresses."
  }
}

variable "allowed_principals" {
  type        = list(string)
  description = "Principals whose actions are logged and not contained: full ARNs, `*` allowed. An entry can end in ` via ` and the name of an AWS service."
  default     = []

  validation {
    # The same limit as in workflow/allowlist.py, which ignores patterns that could match every principal of an account.
    condition = alltrue([
      for arn in var.allowed_principals :
      can(regex("^arn:aws:(iam::[0-9]{12}:(user|role)|sts::[0-9]{12}:assumed-role)/[^*/: ][^: ]*( via [a-z0-9.-]+\\.amazonaws\\.com)?$", arn))
    ])
    error_message = "Each of allowed_principals must be the full ARN of a user, role or assumed-role. It must contain the account id and at least the first character of the name or path, for example arn:aws:sts::123456789012:assumed-role/deploy/*."
  }

  validation {
    condition     = length(var.allowed_principals) <= 500 && alltrue([for arn in var.allowed_principals : length(arn) <= 200])
    error_message = "allowed_principals must have at most 500 ARNs of at most 200 characters each. Use `*` to shorten an ARN."
  }
}

# Detections

variable "detections_disabled" {
  type        = list(string)
  description = "Ids of detections that are switched off. Their EventBridge rules are not created."
  default     = []

  validation {
    condition     = alltrue([for id in var.detections_disabled : contains(keys(local.all_detections), id)])
    error_message = "Each of detections_disabled must be the id of a detection (docs/detections.md)."
  }
}

variable "severity_overrides" {
  type        = map(string)
  description = "Severity by detection id, instead of the severity in the table. LOW and MEDIUM never contain. A detection with `nobody` never contains."
  default     = {}

  validation {
    condition     = alltrue([for id in keys(var.severity_overrides) : contains(keys(local.all_detections), id)])
    error_message = "Each key of severity_overrides must be the id of a detection (docs/detections.md)."
  }

  validation {
    condition     = alltrue([for severity in values(var.severity_overrides) : contains(["LOW", "MEDIUM", "HIGH", "CRITICAL"], severity)])
    error_message = "Each value of severity_overrides must be LOW, MEDIUM, HIGH or CRITICAL."
  }

  # Both are in the environment of the functions, which AWS limits to 4 KB.
  validation {
    condition     = length(jsonencode(var.detections_disabled)) + length(jsonencode(var.severity_overrides)) <= 1050
    error_message = "severity_overrides and detections_disabled must have at most 1,050 characters together as JSON. Remove entries that change nothing."
  }
}

variable "extra_detections_path" {
  type        = string
  description = "Path of a JSON file with your own detections, in the format of detections.json (docs/detections.md). Terraform creates their rules and writes them to the ledger, where the functions read them."
  default     = null

  validation {
    condition     = var.extra_detections_path == null || can(jsondecode(file(var.extra_detections_path)).detections[*].id)
    error_message = "extra_detections_path must be the path of a JSON file of the form {\"detections\": [{\"id\": ...}]}."
  }

  validation {
    condition = alltrue([for detection in try(jsondecode(file(var.extra_detections_path)).detections, []) :
      can(regex("^[a-z][a-z0-9_]{1,39}$", detection.id)) && !contains(keys(local.bundled_detections), detection.id)
    ])
    error_message = "Each id in extra_detections_path must have 2 to 40 lower-case letters, digits or _, begin with a letter, and differ from the ids of ir-router's own detections."
  }

  validation {
    condition = alltrue([for detection in try(jsondecode(file(var.extra_detections_path)).detections, []) : try(
      length(detection.title) > 0
      && contains(["LOW", "MEDIUM", "HIGH", "CRITICAL"], detection.severity)
      && contains(["none", "reads", "all", "address"], detection.grouped)
      && contains(["key_owner", "caller", "target_user", "finding_principal", "nobody"], detection.whom)
      && (detection.whom == "nobody" || contains(["HIGH", "CRITICAL"], detection.severity)),
      false
    )])
    error_message = "Each entry of extra_detections_path requires title, severity (LOW, MEDIUM, HIGH, CRITICAL), grouped (none, reads, all, address), and one of key_owner, caller, target_user, finding_principal and nobody in the field `whom`. LOW and MEDIUM require `nobody`."
  }

  # The id is part of the name of a rule, which has at most 64 characters.
  validation {
    condition     = alltrue([for detection in try(jsondecode(file(var.extra_detections_path)).detections, []) : length("${var.name_prefix}-${try(detection.id, "")}") <= 64])
    error_message = "name_prefix and each id in extra_detections_path must have at most 63 characters together."
  }

  # Only AWS can send events whose source begins with `aws.`. The workflow supports these operators of patterns.
  validation {
    condition = alltrue([for detection in try(jsondecode(file(var.extra_detections_path)).detections, []) : try(
      length(detection.pattern.source) > 0
      && alltrue([for source in detection.pattern.source : startswith(try(source.prefix, source), "aws.")])
      && length(jsonencode(detection.pattern)) <= 2048
      && alltrue([for found in regexall("[\\[,]\\{\"([^\"]+)\"", jsonencode(detection.pattern)) :
        contains(["prefix", "suffix", "anything-but", "exists", "numeric", "wildcard"], found[0])
      ])
      && length(regexall("\"anything-but\":\\{", jsonencode(detection.pattern))) == length(regexall(
        "\"anything-but\":\\{\"(?:prefix|suffix|wildcard)\":(?:\"[^\"]*\"|\\[\"[^\"]*\"(?:,\"[^\"]*\")*\\])\\}",
        jsonencode(detection.pattern)
      )),
      false
    )])
    error_message = "Each pattern in extra_detections_path requires sources that begin with aws., at most 2,048 characters, and only the operators prefix, suffix, anything-but (also with prefix, suffix or wildcard), exists, numeric and wildcard."
  }
}

variable "owner_tag" {
  type        = string
  description = "Key of the IAM tag that holds the e-mail address of the owner of a user or role. The owner cannot decide about that user or role."
  default     = "slack-email"

  validation {
    condition     = can(regex("^[A-Za-z0-9+=._:/@-]{1,128}$", var.owner_tag))
    error_message = "owner_tag must be an IAM tag key of 1 to 128 characters: letters, digits and + = . _ : / @ -."
  }
}

variable "case_retention_days" {
  type        = number
  description = "Days after its closing for which ir-router keeps the rows of a case. The case in AWS and the channel in Slack are not affected."
  default     = 400

  validation {
    condition     = var.case_retention_days >= 30 && var.case_retention_days <= 36500 && floor(var.case_retention_days) == var.case_retention_days
    error_message = "case_retention_days must be an integer from 30 to 36500."
  }
}

variable "archive_channels_after_days" {
  type        = number
  description = "Days after the closing of a case after which ir-router archives its Slack channel. 0: never."
  default     = 14

  validation {
    condition     = var.archive_channels_after_days >= 0 && var.archive_channels_after_days <= 3650 && floor(var.archive_channels_after_days) == var.archive_channels_after_days
    error_message = "archive_channels_after_days must be an integer from 0 to 3650."
  }
}

variable "report_message_text" {
  type        = bool
  description = "Whether reports about cases contain the text of Slack messages. Without it they contain only authors and times."
  default     = false
}

variable "close_decided_cases_after_hours" {
  type        = number
  description = "Hours without activity after which ir-router closes a self-managed case that the workflow opened and whose incident an analyst has decided. 0: never."
  default     = 72

  validation {
    condition     = var.close_decided_cases_after_hours >= 0 && var.close_decided_cases_after_hours <= 8760 && floor(var.close_decided_cases_after_hours) == var.close_decided_cases_after_hours
    error_message = "close_decided_cases_after_hours must be an integer from 0 to 8760."
  }
}

variable "cloudtrail_lake_event_data_store" {
  type        = string
  description = "ARN of an event data store of CloudTrail Lake, in which ir-router also searches the calls of contained credentials: data events, all regions and longer periods. Without it ir-router reads CloudTrail's event history alone."
  default     = null

  validation {
    condition     = var.cloudtrail_lake_event_data_store == null || can(regex("^arn:aws:cloudtrail:[a-z0-9-]+:[0-9]{12}:eventdatastore/[a-f0-9]{8}(-[a-f0-9]{4}){3}-[a-f0-9]{12}$", var.cloudtrail_lake_event_data_store))
    error_message = "cloudtrail_lake_event_data_store must be the ARN of an event data store (arn:aws:cloudtrail:REGION:ACCOUNT:eventdatastore/ID)."
  }
}

variable "audit_retention_days" {
  type        = number
  description = "Days for which audit records are kept. The closing hash of each month is never deleted."
  default     = 400

  validation {
    condition     = var.audit_retention_days >= 30 && floor(var.audit_retention_days) == var.audit_retention_days
    error_message = "audit_retention_days must be an integer of 30 or more."
  }
}

variable "audit_export_bucket" {
  type        = string
  description = "Name of an S3 bucket with Object Lock, to which ir-router copies each day's audit records and each month's closing hash. Without it nothing is exported."
  default     = null

  validation {
    condition     = var.audit_export_bucket == null || can(regex("^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$", var.audit_export_bucket))
    error_message = "audit_export_bucket must be the name of an S3 bucket: 3 to 63 lower-case letters, digits, dots and hyphens."
  }
}

# Monitoring

variable "dashboard" {
  type        = bool
  description = "Whether to create a CloudWatch dashboard. It costs 3 US dollars a month, unless it is one of the account's three free dashboards."
  default     = false
}

variable "alert_emails" {
  type        = list(string)
  description = "E-mail addresses that receive security alerts and alarms. Each recipient must confirm two subscriptions, three outside us-east-1. You can also use the e-mail address of a Slack channel."
  default     = []

  validation {
    condition     = alltrue([for address in var.alert_emails : can(regex("^[^@[:space:]]+@[^@[:space:]]+[.][^@[:space:]]+$", address))])
    error_message = "Each of alert_emails must be an e-mail address."
  }
}

variable "log_retention_days" {
  type        = number
  description = "Days for which the logs of the functions and the workflow are kept. They include the hashes of the audit records. Access logs are kept for one week."
  default     = 400

  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653], var.log_retention_days)
    error_message = "log_retention_days must be a retention period that CloudWatch Logs supports, for example 7, 30, 90, 365 or 731."
  }
}

variable "xray_tracing" {
  type        = bool
  description = "If true, the functions, the workflow and the API send traces to AWS X-Ray."
  default     = false
}
