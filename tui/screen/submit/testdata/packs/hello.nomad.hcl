# Say hello
# The smallest job there is, to see whether jobs run at all.

job "hello" {
  type = "batch"
  group "hello" {
    task "hello" {
      driver = "raw_exec"
    }
  }
}
