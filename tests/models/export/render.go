// Renders conversations with a template of Ollama's language, which is Go's text/template.
package main

import (
	"encoding/json"
	"os"
	"strings"
	"text/template"
)

// As in Ollama's template package: what a template sees of a message.
type message struct{ Role, Content string }

func main() {
	var request struct {
		Template      string
		Conversations [][]message
	}
	if err := json.NewDecoder(os.Stdin).Decode(&request); err != nil {
		panic(err)
	}
	parsed := template.Must(template.New("").Parse(request.Template))
	answers := []*string{} // null where the template refuses
	for _, messages := range request.Conversations {
		var text strings.Builder
		if err := parsed.Execute(&text, map[string]any{"Messages": messages}); err != nil {
			answers = append(answers, nil)
			continue
		}
		rendered := text.String()
		answers = append(answers, &rendered)
	}
	if err := json.NewEncoder(os.Stdout).Encode(answers); err != nil {
		panic(err)
	}
}
