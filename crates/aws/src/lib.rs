//! The ports of `refit-app` on the real services: DynamoDB, S3, SageMaker, SNS and EventBridge.
