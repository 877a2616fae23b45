# Train the digit classifier
# Trains stoker's reference model, a small classifier of handwritten digits,
# and seals the result: the model goes from the training task over a socket to
# a seal task with its own identity, which encrypts it under a Vault key, writes
# it to the models volume and registers the version.
#
# Plaintext is in memory only: checkpoints lie in the training task's secrets
# folder, which is a tmpfs on a client that runs as root.

variable "job_id" {
  type        = string
  default     = "train-digits"
  description = "ID of the job; Vault roles are bound to it"
}

variable "model" {
  type        = string
  default     = "digits"
  description = "name under which the model is registered"
  validation {
    condition     = var.model != "" && regex_replace(var.model, "[A-Za-z0-9][A-Za-z0-9._+-]*", "") == ""
    error_message = "Use letters, digits, dots, underscores, plus and minus signs, and begin with a letter or digit."
  }
}

variable "version" {
  type        = string
  default     = "1"
  description = "version under which the model is registered"
  validation {
    condition     = var.version != "" && regex_replace(var.version, "[A-Za-z0-9][A-Za-z0-9._+-]*", "") == ""
    error_message = "Use letters, digits, dots, underscores, plus and minus signs, and begin with a letter or digit."
  }
}

variable "epochs" {
  type        = number
  default     = 30
  description = "passes over the training images"
  validation {
    condition     = var.epochs >= 1 && floor(var.epochs) == var.epochs
    error_message = "Use a whole number from 1 on."
  }
}

variable "step_delay" {
  type        = string
  default     = "10ms"
  description = "pause after each step, so that a person can watch"
  validation {
    condition     = can(timeadd("2000-01-01T00:00:00Z", var.step_delay))
    error_message = "Give a time with its unit, such as 10ms or 0s."
  }
}

variable "seed" {
  type        = number
  default     = 1
  description = "seed of all randomness: the same seed gives the same model"
  validation {
    condition     = var.seed >= 0 && floor(var.seed) == var.seed
    error_message = "Use a whole number from 0 on."
  }
}

variable "gpus" {
  type        = number
  default     = 1
  description = "GPUs to hold; 0 trains without one"
  validation {
    condition     = var.gpus >= 0 && floor(var.gpus) == var.gpus
    error_message = "Use a whole number from 0 on."
  }
}

variable "gpu_model" {
  type        = string
  default     = ""
  description = "exact model of the GPUs, for example NVIDIA H100 80GB HBM3; empty takes any"
}

variable "vault_addr" {
  type        = string
  description = "address of Vault as tasks reach it, for example https://vault.example.net:8200"
  validation {
    condition     = substr(var.vault_addr, 0, 4) == "http"
    error_message = "Give a URL that begins with http:// or https://."
  }
}

variable "seal_key" {
  type        = string
  default     = "models"
  description = "Vault Transit key that wraps the model's data key"
}

variable "seal_role" {
  type        = string
  default     = "seal-models"
  description = "Vault role of the seal task"
}

variable "driver" {
  type        = string
  default     = "docker"
  description = "docker, exec or raw_exec"
  validation {
    condition     = contains(["docker", "exec", "raw_exec"], var.driver)
    error_message = "Use docker, exec or raw_exec."
  }
}

variable "image" {
  type        = string
  default     = "stoker:local"
  description = "container image with both programs; docker only"
}

variable "stoker_binary" {
  type        = string
  default     = "stoker"
  description = "the stoker program: a path, or a name on the task's PATH"
}

variable "workload_binary" {
  type        = string
  default     = "workload"
  description = "the reference workload: a path, or a name on the task's PATH"
}

variable "wipe_driver" {
  type        = string
  default     = ""
  description = "driver exec: raw_exec to remove the checkpoint of a training that failed; an exec task cannot"
  validation {
    condition     = contains(["", "raw_exec"], var.wipe_driver)
    error_message = "Use raw_exec, or leave it empty."
  }
}

variable "wipe_binary" {
  type        = string
  default     = "stoker"
  description = "driver exec: the stoker program as raw_exec finds it on the node"
}

locals {
  urn = "urn:stoker:model:${var.model}:${var.version}"
  # raw_exec cannot mount volumes: such a node says in its meta where they are.
  models  = var.driver == "raw_exec" ? "$${meta.stoker_models}" : "/models"
  mounted = var.driver == "raw_exec" ? [] : [1]
  # What a container needs beside the command.
  image   = var.driver == "docker" ? [var.image] : []
  process = var.driver == "docker" ? [] : [1]

  train = [
    "train", "--model", var.model, "--version", var.version,
    "--epochs", format("%d", var.epochs), "--step-delay", var.step_delay, "--seed", format("%d", var.seed),
    "--listen", "$${NOMAD_ADDR_http}",
    "--checkpoints", "$${NOMAD_SECRETS_DIR}/checkpoints",
    "--send", "unix:$${NOMAD_ALLOC_DIR}/seal.sock",
  ]
  seal = [
    "seal", "--listen", "unix:$${NOMAD_ALLOC_DIR}/seal.sock",
    "--key", var.seal_key, local.urn, "--models", local.models, "--register",
  ]
}

job "train-digits" {
  id   = var.job_id
  name = var.job_id
  type = "batch"

  meta = {
    "stoker.kind"    = "training"
    "stoker.model"   = var.model
    "stoker.version" = var.version
  }

  group "train" {
    count = 1

    dynamic "constraint" {
      for_each = var.driver == "raw_exec" ? [1] : []
      content {
        attribute = "$${meta.stoker_models}"
        operator  = "is_set"
      }
    }

    network {
      port "http" {}
    }

    service {
      name     = var.job_id
      provider = "nomad"
      port     = "http"
      tags     = ["stoker.metrics=/metrics"]
    }

    dynamic "volume" {
      for_each = local.mounted
      labels   = ["models"]
      content {
        type   = "host"
        source = "models"
      }
    }

    # A training that was interrupted resumes from its checkpoint.
    restart {
      attempts = 2
      interval = "10m"
      delay    = "5s"
      mode     = "fail"
    }
    reschedule {
      attempts  = 1
      interval  = "1h"
      delay     = "10s"
      unlimited = false
    }

    task "seal" {
      driver = var.driver

      dynamic "config" {
        for_each = local.image
        content {
          image        = config.value
          network_mode = "host"
          command      = var.stoker_binary
          args         = local.seal
        }
      }
      dynamic "config" {
        for_each = local.process
        content {
          command = var.stoker_binary
          args    = local.seal
        }
      }

      dynamic "volume_mount" {
        for_each = local.mounted
        content {
          volume      = "models"
          destination = "/models"
        }
      }

      # The token is a file in the secrets folder, read again when it is used.
      vault {
        role        = var.seal_role
        env         = false
        change_mode = "noop"
      }

      # For Nomad's task API, through which the version is registered.
      identity {
        file = true
      }

      env {
        VAULT_ADDR = var.vault_addr
      }

      resources {
        cpu    = 100
        memory = 256
      }
    }

    task "train" {
      driver = var.driver
      # Its end is the job's end: a seal task that still waits is stopped then.
      leader = true
      # Long enough to save a checkpoint when the task is told to stop.
      kill_signal  = "SIGTERM"
      kill_timeout = "20s"

      dynamic "config" {
        for_each = local.image
        content {
          image        = config.value
          network_mode = "host"
          command      = var.workload_binary
          args         = local.train
        }
      }
      dynamic "config" {
        for_each = local.process
        content {
          command = var.workload_binary
          args    = local.train
        }
      }

      resources {
        cpu     = 100
        memory  = 256
        secrets = 16

        dynamic "device" {
          for_each = var.gpus > 0 ? [var.gpus] : []
          labels   = [var.gpu_model == "" ? "nvidia/gpu" : "nvidia/gpu/${var.gpu_model}"]
          content {
            count = device.value
          }
        }
      }
    }

    # The training removes its checkpoint when the model is sealed. What one that
    # failed or was killed leaves stays in its secrets folder until the allocation
    # is collected, so it is removed here.
    dynamic "task" {
      for_each = var.driver == "exec" && var.wipe_driver == "" ? [] : [1]
      labels   = ["wipe"]
      content {
        driver = var.driver == "exec" ? var.wipe_driver : var.driver
        lifecycle {
          hook    = "poststop"
          sidecar = false
        }
        dynamic "config" {
          for_each = local.image
          content {
            image        = config.value
            network_mode = "none"
            command      = var.stoker_binary
            args         = ["wipe", "/train/checkpoints"]
            volumes      = ["../train/secrets:/train"]
          }
        }
        dynamic "config" {
          for_each = local.process
          content {
            command = var.driver == "exec" ? var.wipe_binary : var.stoker_binary
            args    = ["wipe", "$${NOMAD_ALLOC_DIR}/../train/secrets/checkpoints"]
          }
        }
        resources {
          cpu    = 50
          memory = 64
        }
      }
    }
  }
}
