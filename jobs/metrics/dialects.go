package metrics

import "strings"

// class says how a request ended.
type class uint8

const (
	fine     class = iota
	rejected       // the caller's fault: answers 4xx, refused input
	failed         // the server's fault: answers 5xx
	classes
)

// gauge and histogram roles that a dialect fills.
type role uint8

const (
	inFlight role = iota
	queue
	kvCache
	duration
	firstToken
	served // counts requests
	tokens // counts generated tokens
	roles
)

// places is the number of places in which a server may count its outcomes.
const places = 2

// outcome is a counter of requests by how they ended.
type outcome struct {
	name  string
	place int              // counters of one place add up; of two, each sees failures that the other misses
	label string           // whose value says how; none: all ended as otherwise says
	ended map[string]class // by the label's value, as it is
	codes bool             // the label holds HTTP codes, 200 or 2xx, and a series without one does not count
	// skip leaves series out: those of requests that are not for the model.
	skip      func(labels map[string]string) bool
	otherwise class
}

// dialect is how one kind of server names its metrics. Of several names for a
// role the first that is present counts: servers rename. A name may end in
// _count or _sum to take that part of a histogram.
type dialect struct {
	name  string
	marks []string // any name with one of these prefixes: it is this kind of server
	names [roles][]string
	// scale turns the unit of a role into seconds or a ratio; 0 is 1.
	scale    [roles]float64
	outcomes []outcome
	model    string // label that names the model
	version  string // label that names its version
	// trusted says that the labels name the version better than the job does:
	// the operator chose them. Others label with a path or a repository.
	trusted bool
}

// inferenceOnly leaves out what vLLM's HTTP layer counts besides inference.
func inferenceOnly(labels map[string]string) bool {
	h := labels["handler"]
	return !strings.HasPrefix(h, "/v1/") && h != "/invocations" && h != "/generate" || strings.HasPrefix(h, "/v1/models")
}

// dialects lists the servers that are known. The first that matches counts, so
// names without a prefix of their own come last.
func dialects() []dialect { return append(common(), others()...) }

// common are the servers seen most, each with a prefix of its own.
func common() []dialect {
	ended := map[string]class{"error": failed}
	return []dialect{
		{
			name: "stoker", marks: []string{"stoker_model_"}, model: "model", version: "version", trusted: true,
			names: [roles][]string{
				inFlight: {"stoker_model_requests_in_flight"}, duration: {"stoker_model_request_duration_seconds"},
				served: {"stoker_model_requests_total"},
			},
			outcomes: []outcome{{name: "stoker_model_requests_total", label: "code", codes: true}},
		},
		{
			name: "vllm", marks: []string{"vllm:"}, model: "model_name",
			names: [roles][]string{
				inFlight: {"vllm:num_requests_running"}, queue: {"vllm:num_requests_waiting"},
				kvCache:  {"vllm:kv_cache_usage_perc", "vllm:gpu_cache_usage_perc"},
				duration: {"vllm:e2e_request_latency_seconds"}, firstToken: {"vllm:time_to_first_token_seconds"},
				served: {"vllm:e2e_request_latency_seconds_count", "vllm:request_success_total"},
				tokens: {"vllm:generation_tokens_total"},
			},
			outcomes: []outcome{
				{name: "http_requests_total", label: "status", codes: true, skip: inferenceOnly},
				{name: "vllm:request_success_total", place: 1, label: "finished_reason", ended: ended}, // a stream fails after its 200
			},
		},
		{
			name: "sglang", marks: []string{"sglang:"}, model: "model_name",
			names: [roles][]string{
				inFlight: {"sglang:num_running_reqs"}, queue: {"sglang:num_queue_reqs"}, kvCache: {"sglang:token_usage"},
				duration: {"sglang:e2e_request_latency_seconds"}, firstToken: {"sglang:time_to_first_token_seconds"},
				served: {"sglang:num_requests_total", "sglang:e2e_request_latency_seconds_count"},
				tokens: {"sglang:generation_tokens_total"},
			},
		},
		{
			name: "triton", marks: []string{"nv_inference_"}, model: "model", version: "version", trusted: true,
			names: [roles][]string{
				queue: {"nv_inference_pending_request_count"}, firstToken: {"nv_inference_first_response_histogram_ms"},
				served: {"nv_inference_request_success", "nv_inference_count"},
			},
			scale: [roles]float64{firstToken: 1e-3},
			outcomes: []outcome{{name: "nv_inference_request_success"}, {
				name: "nv_inference_request_failure", label: "reason", otherwise: failed,
				ended: map[string]class{"REJECTED": rejected, "CANCELED": rejected},
			}},
		},
	}
}

// others are the rest; the one without a prefix comes last.
func others() []dialect {
	return []dialect{
		{
			name: "trtllm", marks: []string{"trtllm_"}, model: "model_name",
			names: [roles][]string{
				inFlight: {"trtllm_num_requests_running"}, queue: {"trtllm_num_requests_waiting"}, kvCache: {"trtllm_kv_cache_utilization"},
				duration: {"trtllm_e2e_request_latency_seconds"}, firstToken: {"trtllm_time_to_first_token_seconds"},
				served: {"trtllm_e2e_request_latency_seconds_count", "trtllm_request_success_total"},
				tokens: {"trtllm_generation_tokens_total"},
			},
			outcomes: []outcome{{name: "trtllm_request_success_total"}, {name: "trtllm_request_error_total", otherwise: failed}},
		},
		{
			name: "tgi", marks: []string{"tgi_"},
			names: [roles][]string{
				inFlight: {"tgi_batch_current_size"}, queue: {"tgi_queue_size"}, duration: {"tgi_request_duration"},
				served: {"tgi_request_count"}, tokens: {"tgi_request_generated_tokens_sum"},
			},
			outcomes: []outcome{{name: "tgi_request_success"}, {
				name: "tgi_request_failure", label: "err", otherwise: failed,
				ended: map[string]class{"validation": rejected, "overloaded": rejected},
			}},
		},
		{
			name: "nim", marks: []string{"num_requests_running", "e2e_request_latency_seconds"}, model: "model_name",
			names: [roles][]string{
				inFlight: {"num_requests_running"}, queue: {"num_requests_waiting"}, kvCache: {"gpu_cache_usage_perc"},
				duration: {"e2e_request_latency_seconds"}, firstToken: {"time_to_first_token_seconds"},
				served: {"e2e_request_latency_seconds_count"}, tokens: {"generation_tokens_total"},
			},
		},
	}
}

// duplicated lists labels that number the ranks of one replica, all of which
// report what the replica does: rank 0 speaks for them.
func duplicated() []string { return []string{"tp_rank", "pp_rank", "moe_ep_rank"} }
