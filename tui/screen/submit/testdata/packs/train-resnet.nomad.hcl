# Train ResNet-50 with torchrun

variable "epochs" {
  type    = number
  default = 90
}

job "train-resnet" {
  type = "batch"
  group "trainer" {
    task "train" {
      driver = "docker"
    }
  }
}
