// The AWS SDK for Go on S3, at the endpoint of the first argument. It writes objects of the keys on standard input, reads
// them again, and prints a line for each.
package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

func main() {
	client := s3.New(s3.Options{
		Region:           "eu-west-1",
		Credentials:      credentials.NewStaticCredentialsProvider("PLACEHOLDER", "placeholder", ""),
		EndpointResolver: s3.EndpointResolverFromURL(os.Args[1]),
		UsePathStyle:     true,
	})
	keys := bufio.NewScanner(os.Stdin)
	for keys.Scan() {
		fmt.Println(call(client, keys.Text()))
	}
}

func call(client *s3.Client, key string) string {
	content := strings.Repeat("from Go ", 20_000)
	_, err := client.PutObject(context.Background(), &s3.PutObjectInput{
		Bucket: aws.String("bucket"), Key: aws.String(key), Body: strings.NewReader(content),
	})
	if err != nil {
		return err.Error()
	}
	object, err := client.GetObject(context.Background(), &s3.GetObjectInput{Bucket: aws.String("bucket"), Key: aws.String(key)})
	if err != nil {
		return err.Error()
	}
	read, err := io.ReadAll(object.Body)
	if err != nil || string(read) != content {
		return fmt.Sprintf("%d bytes, %v", len(read), err)
	}
	return "ok"
}
