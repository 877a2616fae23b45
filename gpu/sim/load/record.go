package load

import (
	"encoding/json"
	"fmt"
	"hash/crc32"
)

const (
	suffix = ".json"
	// recordLen is the length of every record: rewritten in place, a record
	// covers all of the one before it.
	recordLen = len(`{"util_percent":100.000,"memory_bytes":18446744073709551615,"crc":"00000000"}` + "\n")
)

// record is the JSON of one report. CRC is over the two values as written.
type record struct {
	UtilPercent float64 `json:"util_percent"`
	MemoryBytes uint64  `json:"memory_bytes"`
	CRC         string  `json:"crc"`
}

func encode(utilPercent float64, memoryBytes uint64) []byte {
	if !(utilPercent > 0) { // NaN too
		utilPercent = 0
	}
	body := fmt.Sprintf(`{"util_percent":%7.3f,"memory_bytes":%20d`, min(utilPercent, 100), memoryBytes)
	return fmt.Appendf(nil, "%s,\"crc\":\"%08x\"}\n", body, crc32.ChecksumIEEE([]byte(body)))
}

func decode(line []byte) (utilPercent float64, memoryBytes uint64, ok bool) {
	var r record
	if len(line) != recordLen || json.Unmarshal(line, &r) != nil {
		return 0, 0, false
	}
	// Encoding the values again gives the same bytes, or the record is torn.
	if string(encode(r.UtilPercent, r.MemoryBytes)) != string(line) {
		return 0, 0, false
	}
	return r.UtilPercent, r.MemoryBytes, true
}
